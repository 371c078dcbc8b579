// The ways to make an example out of examples: a pure function each, and apart from it the numbers that it is to be
// drawn with.

import type { RandomStream } from '../../tensor/random.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { blank, eachPlace, type From, filtered, type Grid, moved, type Taps, type Values, valuesIn } from './grid.ts';

/** What values may be: made ones are held to it. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
  /** Pixels, which are rounded where those that they are made of are whole numbers. */
  readonly pixels: boolean;
}

/** A way to make an example. */
export interface Kind {
  /** In a line. */
  readonly about: string;
  /** Moves values and makes none: so it suits symbols, too. */
  readonly moves: boolean;
  /** How many examples it takes; one where it is left out. */
  readonly takes?: (grid: Grid) => number;
  /** Whether it changes anything in examples that lie so. */
  readonly changes: (grid: Grid) => boolean;
  /** The random numbers that `make` wants, for draw `index`; none where it is left out. */
  readonly draw?: (stream: RandomStream, index: number, grid: Grid) => ArrayLike<number>;
  /** The new example: as many inputs as it takes, all of one type, in; new values of that type out. */
  readonly make: (inputs: readonly Values[], drawn: ArrayLike<number>, grid: Grid, bounds: Bounds) => Values;
}

const hasPlaces = ({ sizes }: Grid) => sizes.length > 0;
const half = (size: number) => Math.ceil(size / 2);
const halved = ({ sizes }: Grid) => sizes.map((size) => Math.floor(size / 2));

/** A kind that moves values. `from` says from where. */
const moving = (
  about: string,
  from: (drawn: ArrayLike<number>, grid: Grid) => (at: readonly number[]) => From,
  rest: Pick<Kind, 'takes' | 'draw'> = {},
): Kind => ({
  about,
  moves: true,
  changes: hasPlaces,
  ...rest,
  make: (inputs, drawn, grid) => moved(inputs, grid, from(drawn, grid)),
});

/** A kind that makes values, in double precision. */
const making = (
  about: string,
  values: (inputs: readonly Float64Array[], drawn: ArrayLike<number>, grid: Grid, bounds: Bounds) => ArrayLike<number>,
  rest: Partial<Pick<Kind, 'takes' | 'draw' | 'changes'>> = {},
): Kind => ({
  about,
  moves: false,
  changes: hasPlaces,
  ...rest,
  make(inputs, drawn, grid, bounds) {
    const numbers = inputs.map((input) => Float64Array.from(input as Float32Array, Number));
    const whole = bounds.pixels && numbers.every((input) => input.every(Number.isInteger));
    return held(values(numbers, drawn, grid, bounds), inputs[0]!, bounds, whole);
  },
});

function held(values: ArrayLike<number>, like: Values, { low, high }: Bounds, whole: boolean): Values {
  const out = blank(like, values.length);
  for (let i = 0; i < out.length; i++) {
    const value = Math.min(high, Math.max(low, whole ? Math.round(values[i]!) : values[i]!));
    out[i] = out instanceof BigInt64Array ? BigInt(value) : value;
  }
  return out;
}

// --- blocks ----------------------------------------------------------------------------------------------------------

const splice = moving(
  'the first half, along the last axis, of one example and the second of another',
  (_, { sizes }) => {
    const last = sizes.length - 1;
    return (at) => ({ input: at[last]! < half(sizes[last]!) ? 0 : 1, at });
  },
  { takes: () => 2 },
);

/** Draws, for each block, whether it is of the second example. An axis is cut into parts as equal as can be. */
const swap = moving(
  'every block of a grid from either of two examples',
  (drawn, { sizes, blocks }) =>
    (at) => ({
      input: drawn[at.reduce((sum, t, axis) => sum * blocks + Math.floor((t * blocks) / sizes[axis]!), 0)]!,
      at,
    }),
  {
    takes: () => 2,
    draw: (stream, index, { sizes, blocks }) =>
      Array.from({ length: blocks ** sizes.length }, (_, block) => stream.integer(index, block, 2)),
  },
);

/** How many blocks of one size `permute` has along each axis. */
const equalBlocks = ({ sizes, blocks }: Grid) => sizes.map((size) => Math.min(blocks, size));

/** Draws, for each block, which one comes there. What is left at the ends of the axes stays. */
const permute = moving(
  'the blocks of a grid in another order',
  (drawn, grid) => {
    const counts = equalBlocks(grid);
    const lengths = grid.sizes.map((size, axis) => Math.floor(size / counts[axis]!));
    return (at) => {
      const block = at.map((t, axis) => Math.floor(t / lengths[axis]!));
      if (block.some((b, axis) => b >= counts[axis]!)) return { input: 0, at };
      let other = drawn[block.reduce((sum, b, axis) => sum * counts[axis]! + b, 0)]!;
      const there = [...at];
      for (let axis = at.length - 1; axis >= 0; axis--) {
        const count = counts[axis]!;
        there[axis] = at[axis]! + ((other % count) - block[axis]!) * lengths[axis]!;
        other = Math.floor(other / count);
      }
      return { input: 0, at: there };
    };
  },
  { draw: (stream, index, grid) => stream.permutation(index, sizeOf(equalBlocks(grid))) },
);

// --- other values ----------------------------------------------------------------------------------------------------

/** Of a pair; of the last value alone where the size is odd. */
const pair = (k: number, size: number): Taps => [
  [2 * k, 1],
  [Math.min(2 * k + 1, size - 1), 1],
];

/**
 * The first example is at the beginning of all axes, the last at their ends; where a size is odd, the halves at the end
 * lack their last value.
 */
const tile = making(
  'examples at half their size side by side',
  (inputs, _, grid) => {
    const { sizes, outer, inner } = grid;
    const small = sizes.map(half);
    const parts = inputs.map((input) => filtered(input, grid, pair, half));
    const out = new Float64Array(valuesIn(grid));
    const [places, placesSmall] = [sizeOf(sizes), sizeOf(small)];
    eachPlace(sizes, (at, place) => {
      let [which, there] = [0, 0];
      for (const [axis, t] of at.entries()) {
        const second = t >= small[axis]! ? 1 : 0;
        which = 2 * which + second;
        there = there * small[axis]! + t - second * small[axis]!;
      }
      for (let o = 0; o < outer; o++) {
        const begin = (o * placesSmall + there) * inner;
        out.set(parts[which]!.subarray(begin, begin + inner), (o * places + place) * inner);
      }
    });
    return out;
  },
  { takes: ({ sizes }) => 2 ** sizes.length },
);

/** Draws the first place of the block along each axis, and its value as a part of the bounds, 0..1. */
const cutout = making(
  'a block of half the size replaced by one value',
  ([a], drawn, grid, { low, high }) => {
    const { sizes, outer, inner } = grid;
    const lengths = halved(grid);
    const out = a!.slice();
    const places = sizeOf(sizes);
    const value = low + drawn[sizes.length]! * (high - low);
    eachPlace(sizes, (at, place) => {
      if (!at.every((t, axis) => t >= drawn[axis]! && t < drawn[axis]! + lengths[axis]!)) return;
      for (let o = 0; o < outer; o++) out.fill(value, (o * places + place) * inner, (o * places + place + 1) * inner);
    });
    return out;
  },
  {
    draw(stream, index, grid) {
      const lengths = halved(grid);
      const starts = grid.sizes.map((size, axis) => stream.integer(index, axis, size - lengths[axis]! + 1));
      return [...starts, stream.integer(index, starts.length, 2 ** 32) / (2 ** 32 - 1)];
    },
  },
);

/** Of the difference between the bounds. */
const NOISE = 0.08;

/** Draws standard normals. */
const noise = making(
  'normal noise added',
  ([a], drawn, _, { low, high }) => a!.map((value, i) => value + NOISE * (high - low) * drawn[i]!),
  {
    changes: () => true,
    draw(stream, index, grid) {
      const out = new Float64Array(valuesIn(grid));
      stream.normal(index, out);
      return out;
    },
  },
);

const neighbours = (k: number, size: number): Taps => [
  [Math.max(k - 1, 0), 1],
  [k, 1],
  [Math.min(k + 1, size - 1), 1],
];
const blurred = (values: ArrayLike<number>, grid: Grid) =>
  filtered(filtered(values, grid, neighbours), grid, neighbours);

/** By the centre, which stays where it is. Quarters, as weights, are exact. */
function between(k: number, size: number): Taps {
  const at = (k + (size - 1) / 2) / 2;
  const below = Math.floor(at);
  return [
    [below, 1 - (at - below)],
    [Math.min(below + 1, size - 1), at - below],
  ];
}

const contrast = (about: string, factor: number) =>
  making(
    about,
    ([a]) => {
      const mean = a!.reduce((sum, value) => sum + value, 0) / a!.length;
      return a!.map((value) => mean + factor * (value - mean));
    },
    { changes: (grid) => valuesIn(grid) > 1 },
  );

/** All ways, by their names. */
export const kinds = {
  splice,
  swap,
  permute,
  tile,
  cutout,
  noise,
  blur: making('the mean of every value and its neighbours, twice', ([a], _, grid) => blurred(a!, grid)),
  sharpen: making('what blur takes away, added once more', ([a], _, grid) => {
    const smooth = blurred(a!, grid);
    return a!.map((value, i) => 2 * value - smooth[i]!);
  }),
  'low-contrast': contrast('differences from the mean halved', 0.5),
  'high-contrast': contrast('differences from the mean times 1.8', 1.8),
  zoom: making('the middle at twice its size', ([a], _, grid) => filtered(a!, grid, between)),
} satisfies Readonly<Record<string, Kind>>;
