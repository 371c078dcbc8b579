// One plane of an image at another size: in, h×w values; out, height×width of them, as Pillow's `Image.resize` gives
// them.
//
// Pillow's way (Resample.c, Geometry.c of Pillow): each output pixel is a weighted mean of the input pixels around its
// centre; corners, not centres of pixels, lie on each other; when shrinking, the kernel is stretched by the factor,
// which is what avoids aliasing; weights that fall outside the image are left out and the rest add up to 1. One axis
// after the other: bytes are rounded and clipped between the two, with weights of 22 bits; floats are kept as float32,
// and neither rounded nor clipped. Since of bytes the order shows, it is that of Pillow 13: along rows first, but along
// columns where the height shrinks by far more than the width. (Versions before it always began with the rows.)

/** Kernels by their usual names. 'nearest' takes the pixel that lies under the centre of the new one. */
export const kernels = ['nearest', 'bilinear', 'bicubic', 'lanczos'] as const;
/** One of `kernels`. */
export type Kernel = (typeof kernels)[number];

/** Height and width of a plane. */
export type PlaneSize = readonly [height: number, width: number];

interface Smoothing {
  /** Half the width outside which the kernel is 0, in pixels of the coarser grid. */
  readonly support: number;
  weight(x: number): number;
}

const smoothing: Readonly<Record<Exclude<Kernel, 'nearest'>, Smoothing>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  // Keys 1981, with a = −0.5.
  bicubic: {
    support: 2,
    weight(signed) {
      const [x, a] = [Math.abs(signed), -0.5];
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    },
  },
  // a = 3
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/**
 * A function that resamples planes from one size to another; weights are computed once. `bytes`: whole numbers 0..255
 * in and out.
 */
export type Resampler = (from: ArrayLike<number>, to: Float32Array, as: 'bytes' | 'floats') => void;

/** The result takes `from` of h·w values and fills `to` of height·width; sizes are whole and positive. */
export function resampler([h, w]: PlaneSize, [height, width]: PlaneSize, kernel: Kernel): Resampler {
  if (kernel === 'nearest') return nearest([h, w], [height, width]);
  // An axis that keeps its size is left alone.
  const rows = w === width ? undefined : weightsOf(w, width, smoothing[kernel]);
  const columns = h === height ? undefined : weightsOf(h, height, smoothing[kernel]);
  if (!rows && !columns) return (from, to) => to.set(from);
  const rowsFirst = !(h > height && h - height > 2 * (w - width));
  const between = new Float32Array(rows && columns ? (rowsFirst ? h * width : height * w) : 0);
  /** Along every row of an image with `count` of them. */
  const alongRows = (apply: Apply, from: ArrayLike<number>, to: Float32Array, count: number) => {
    if (rows) for (let y = 0; y < count; y++) apply(rows, from, y * w, 1, to, y * width, 1);
  };
  const alongColumns = (apply: Apply, from: ArrayLike<number>, to: Float32Array, count: number) => {
    if (columns) for (let x = 0; x < count; x++) apply(columns, from, x, count, to, x, count);
  };
  return (from, to, as) => {
    const apply = as === 'bytes' ? applyToBytes : applyToFloats;
    if (!columns) alongRows(apply, from, to, h);
    else if (!rows) alongColumns(apply, from, to, w);
    else if (rowsFirst) {
      alongRows(apply, from, between, h);
      alongColumns(apply, between, to, width);
    } else {
      alongColumns(apply, from, between, w);
      alongRows(apply, between, to, height);
    }
  };
}

/** Along one axis: output i is Σ_k weight[i·most + k] · input[start[i] + k] for k < count[i]. */
interface Weights {
  readonly most: number;
  readonly start: Int32Array;
  readonly count: Int32Array;
  readonly floats: Float64Array;
  /** The same as whole numbers, 2^22 for 1. */
  readonly fixed: Float64Array;
}

const FIXED = 2 ** 22;

function weightsOf(from: number, to: number, { support, weight }: Smoothing): Weights {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const most = Math.ceil(reach) * 2 + 1;
  const [start, count] = [new Int32Array(to), new Int32Array(to)];
  const [floats, fixed] = [new Float64Array(to * most), new Float64Array(to * most)];
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    start[i] = first;
    count[i] = end - first;
    let sum = 0;
    for (let k = 0; k < end - first; k++) {
      const value = weight((k + first - centre + 0.5) / stretch);
      floats[i * most + k] = value;
      sum += value;
    }
    for (let k = 0; k < end - first; k++) {
      const value = floats[i * most + k]! / (sum === 0 ? 1 : sum);
      floats[i * most + k] = value;
      fixed[i * most + k] = Math.trunc(value * FIXED + (value < 0 ? -0.5 : 0.5));
    }
  }
  return { most, start, count, floats, fixed };
}

type Apply = (
  weights: Weights,
  from: ArrayLike<number>,
  fromAt: number,
  fromStep: number,
  to: Float32Array,
  toAt: number,
  toStep: number,
) => void;

const applyToFloats: Apply = ({ most, start, count, floats }, from, fromAt, fromStep, to, toAt, toStep) => {
  for (let i = 0; i < start.length; i++) {
    let sum = 0;
    const first = fromAt + start[i]! * fromStep;
    for (let k = 0; k < count[i]!; k++) sum += from[first + k * fromStep]! * floats[i * most + k]!;
    to[toAt + i * toStep] = sum;
  }
};

/** Sums stay far below 2^53, so float64 adds these whole numbers exactly. */
const applyToBytes: Apply = ({ most, start, count, fixed }, from, fromAt, fromStep, to, toAt, toStep) => {
  for (let i = 0; i < start.length; i++) {
    let sum = FIXED / 2;
    const first = fromAt + start[i]! * fromStep;
    for (let k = 0; k < count[i]!; k++) sum += from[first + k * fromStep]! * fixed[i * most + k]!;
    to[toAt + i * toStep] = Math.min(255, Math.max(0, Math.floor(sum / FIXED)));
  }
};

function nearest([h, w]: PlaneSize, [height, width]: PlaneSize): Resampler {
  const [rows, columns] = [nearestAlong(h, height), nearestAlong(w, width)];
  return (from, to) => {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) to[y * width + x] = from[rows[y]! * w + columns[x]!]!;
    }
  };
}

/**
 * The positions are added up step by step, as Pillow does: where a centre lies between two pixels, the rounding
 * decides.
 */
function nearestAlong(from: number, to: number): Int32Array {
  const step = from / to;
  const out = new Int32Array(to);
  let at = step / 2;
  for (let i = 0; i < to; i++, at += step) out[i] = Math.min(from - 1, Math.floor(at));
  return out;
}
