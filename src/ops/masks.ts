// Which columns of a matrix of scores masks show to some row of a block, from numbers that a graph knows.

import { interpret, reachable, type Value } from '../graph/index.ts';
import { broadcastStrides, type NdArray, walk } from '../tensor/ndarray.ts';
import { broadcastTwo, type Shape, sizeOf } from '../tensor/shape.ts';

/** What is added to a score to hide it, or less: e to it is 0 whatever scores a model may give. */
export const HIDDEN = -1e8;
/** Columns are cut at multiples of this share of them: of few sizes, values can have the memory of others before. */
const SHARE = 1 / 8;
/** Steps of arithmetic that looking at masks may take, of some ten nanoseconds each. */
const MOST = 2 ** 27;

/** From `start` on, before `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Numbers that are added to scores; or truth values that put `low` in their place, where they hold if it `hides`. */
export type Mask =
  | { readonly value: Value; readonly low?: undefined }
  | { readonly value: Value; readonly low: number; readonly hides: boolean };

const known = new WeakMap<object, Map<string, readonly Range[] | undefined>>();

/**
 * Of weights p [..., length, width] whose scores have these masks, the outermost first: all columns where they cannot
 * be told, or where a row sees nothing, which so sees all.
 */
export function shownColumns(p: Value, masks: readonly Mask[]): (rows: Range) => Range {
  const [length, width] = p.shape.slice(-2) as [number, number];
  const all = { start: 0, end: width };
  const cache = known.get(p.arena) ?? new Map<string, readonly Range[] | undefined>();
  known.set(p.arena, cache);
  const key = [length, width, ...masks.map((m) => `${m.value.id} ${m.low}${m.low !== undefined && m.hides}`)].join();
  if (!cache.has(key)) cache.set(key, masks.length > 0 ? rangesOf(masks, length, width) : undefined);
  const ranges = cache.get(key);
  if (!ranges) return () => all;
  const step = Math.ceil(width * SHARE);
  return ({ start, end }) => {
    let [first, last] = [width, 0];
    for (const range of ranges.slice(start, end)) {
      first = Math.min(first, range.start);
      last = Math.max(last, range.end);
    }
    return { start: Math.floor(first / step) * step, end: Math.min(width, Math.ceil(last / step) * step) };
  };
}

/** The columns that each row sees in some matrix. */
function rangesOf(masks: readonly Mask[], length: number, width: number): Range[] | undefined {
  let shape: Shape = [length, width];
  for (const { value } of masks) shape = broadcastTwo(shape, value.shape) ?? [];
  if (shape.length < 2 || sizeOf(shape) * masks.length > MOST) return undefined;
  const numbers: { mask: Mask; data: NdArray['data']; strides: readonly number[] }[] = [];
  for (const mask of masks.toReversed()) {
    const found = numbersOf(mask.value);
    if (!found) return undefined;
    numbers.push({ mask, data: found.data, strides: broadcastStrides(found.shape, shape) });
  }
  const ranges = Array.from({ length }, () => ({ start: width, end: 0 }));
  const scores = new Float64Array(width);
  const starts = numbers.map(({ strides }) => strides.slice(0, -1));
  walk(shape.slice(0, -1), starts, (row, at) => {
    scores.fill(0);
    for (const [m, { mask, data, strides }] of numbers.entries()) {
      const [start, step] = [at[m]!, strides.at(-1)!];
      for (let k = 0; k < width; k++) {
        const x = data[start + k * step]!;
        if (mask.low === undefined) scores[k]! += x;
        else if ((x !== 0) === mask.hides) scores[k] = mask.low;
      }
    }
    widen(ranges[row % length]!, scores);
  });
  return ranges;
}

/** Adds the columns that the scores of a row show to its range. */
function widen(range: { start: number; end: number }, scores: Float64Array): void {
  let highest = -Infinity;
  for (const score of scores) highest = Math.max(highest, score);
  const seesNothing = !(highest > HIDDEN / 2 && highest < Infinity);
  for (let k = 0; k < scores.length; k++) {
    if (!seesNothing && scores[k]! <= highest + HIDDEN) continue;
    range.start = Math.min(range.start, k);
    range.end = Math.max(range.end, k + 1);
  }
}

/** What follows from constants alone in few enough steps; undefined for anything else. */
function numbersOf(value: Value): NdArray | undefined {
  let steps = 0;
  for (const { source, shape } of reachable([value])) {
    if (source.kind === 'constant') continue;
    if (source.kind !== 'node' || source.op.lead || source.op.multiplications) return undefined;
    steps += 4 * (sizeOf(shape) + source.inputs.reduce((sum, x) => sum + sizeOf(x.shape), 0));
    if (steps > MOST) return undefined;
  }
  return interpret({ arena: value.arena, outputs: { value } }, {}).value;
}
