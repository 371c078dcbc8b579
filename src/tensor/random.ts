// Seeded, counter-based random numbers: (seed, stream, example, position) -> number, with no state in between. An
// example is told by a number (its index) or by 64 bits of its content. So the randomness of an example never depends
// on the batch it sat in, and a resumed run draws what it would have drawn.
//
// Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

const PARITY = 0x1bd11bda;

function rotl(x: number, r: number): number {
  return (x << r) | (x >>> (32 - r));
}

/** Threefry-2x32-20: encrypts the counter (c0, c1) under the key (k0, k1) into `out`, two unsigned 32-bit words. */
export function threefry2x32(k0: number, k1: number, c0: number, c1: number, out: Uint32Array): void {
  const k2 = PARITY ^ k0 ^ k1;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  // Five groups of four rounds; after each, the next pair of key words and the group number are added.
  for (let group = 0; group < 5; group++) {
    if (group % 2 === 0) {
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 13) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 15) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 26) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 6) ^ x0;
    } else {
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 17) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 29) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 16) ^ x0;
      x0 = (x0 + x1) | 0;
      x1 = rotl(x1, 24) ^ x0;
    }
    const first = (group + 1) % 3;
    const second = (group + 2) % 3;
    x0 = (x0 + (first === 0 ? k0 : first === 1 ? k1 : k2)) | 0;
    x1 = (x1 + (second === 0 ? k0 : second === 1 ? k1 : k2) + group + 1) | 0;
  }
  out[0] = x0;
  out[1] = x1;
}

/** FNV-1a of a name, so that streams can be called by name ('eps', 'dequantisation', …). 32 bits. */
export function hashName(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

const TWO_POW_NEG_32 = 2 ** -32;

/**
 * A named stream of random numbers under a seed. Every method takes the index of an example (or any other integer that
 * names an independent draw) and gives the same numbers for the same (seed, name, index), in whatever order it is
 * asked.
 */
export class RandomStream {
  #k0: number;
  #k1: number;
  readonly #words = new Uint32Array(2);

  /** `seed` is an integer in [0, 2^53); seeds that differ only above 2^32 give different streams too. */
  constructor(seed: number, name: string) {
    // The key mixes both halves of the seed with the name by one encryption, so that nearby seeds share nothing.
    threefry2x32(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, hashName(name), 0x66697368, this.#words);
    this.#k0 = this.#words[0]! | 0;
    this.#k1 = this.#words[1]! | 0;
  }

  /**
   * The stream of one thing that is told by 64 bits of its content rather than by a number: their encryption is its
   * key.
   */
  of(content: readonly [high: number, low: number]): RandomStream {
    const stream = new RandomStream(0, '');
    threefry2x32(this.#k0, this.#k1, content[0], content[1], this.#words);
    stream.#k0 = this.#words[0]! | 0;
    stream.#k1 = this.#words[1]! | 0;
    return stream;
  }

  /** Fills `out` with uniforms in [0, 1) for draw `index`: 24 bits each, exact in float32, never 1. */
  uniform(index: number, out: Float32Array | Float64Array): void {
    const words = this.#words;
    for (let i = 0; i < out.length; i += 2) {
      threefry2x32(this.#k0, this.#k1, index | 0, i >> 1, words);
      out[i] = (words[0]! >>> 8) * 2 ** -24;
      if (i + 1 < out.length) out[i + 1] = (words[1]! >>> 8) * 2 ** -24;
    }
  }

  /** Fills `out` with standard normals for draw `index` (Box–Muller; both numbers of a pair are used). */
  normal(index: number, out: Float32Array | Float64Array): void {
    const words = this.#words;
    for (let i = 0; i < out.length; i += 2) {
      threefry2x32(this.#k0, this.#k1, index | 0, i >> 1, words);
      const radius = Math.sqrt(-2 * Math.log((words[0]! + 1) * TWO_POW_NEG_32)); // argument in (0, 1]
      const angle = 2 * Math.PI * words[1]! * TWO_POW_NEG_32;
      out[i] = radius * Math.cos(angle);
      if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle);
    }
  }

  /** One uniform integer in [0, below) for draw (index, position); `below` <= 2^32. Bias is under below / 2^64. */
  integer(index: number, position: number, below: number): number {
    threefry2x32(this.#k0, this.#k1, index | 0, position | 0, this.#words);
    const fraction = this.#words[0]! * TWO_POW_NEG_32 + this.#words[1]! * TWO_POW_NEG_32 ** 2;
    return Math.min(below - 1, Math.floor(fraction * below));
  }

  /** A uniformly random permutation of 0..length-1 for draw `index` (Fisher–Yates). */
  permutation(index: number, length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = this.integer(index, i, i + 1);
      const t = order[i]!;
      order[i] = order[j]!;
      order[j] = t;
    }
    return order;
  }
}
