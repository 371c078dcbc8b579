declare module 'fft.js' {
  /** Fourier transforms of one length, a power of two. Complex numbers lie as pairs. */
  export default class FFT {
    constructor(size: number);
    createComplexArray(): number[];
    /** Fills the first half of `out`: frequencies 0..size/2. */
    realTransform(out: number[], data: ArrayLike<number>): void;
  }
}
