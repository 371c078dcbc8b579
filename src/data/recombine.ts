// A data set whose examples are made of a few of another's each: close to what a model has learned, and not of it. A
// detector that is to know what lies beside its data is fitted against them.

import { DataError, UsageError } from '../errors.ts';
import { RandomStream } from '../tensor/random.ts';
import { shapeText, sizeOf } from '../tensor/shape.ts';
import { type DataArray, type Dataset, makeDataset } from './dataset.ts';
import { blank, gridOf, type Values } from './recombine/grid.ts';
import { type Bounds, type Kind, kinds } from './recombine/kinds.ts';

/** The name of a recombination. */
export type RecombinationKind = keyof typeof kinds;

/** A way to make examples of examples. */
export interface Recombination extends Kind {
  readonly name: RecombinationKind;
}

/** All of them. */
export const recombinations: readonly Recombination[] = Object.entries<Kind>(kinds).map(([name, kind]) => ({
  name: name as RecombinationKind,
  ...kind,
}));

/** What `recombined` makes. */
export interface RecombineOptions {
  /** How many examples, 1..2³¹. */
  readonly count: number;
  /** An integer from 0 to 2⁵³ − 1. */
  readonly seed: number;
  /**
   * Which array is recombined; default `x`, where there is one, else the one with the most values an example, the first
   * of these.
   */
  readonly input?: string | undefined;
}

/** Examples at the beginning of a set that say between which bounds its values are. */
const LOOKED_AT = 256;
/** Examples that are in memory at a time for it. */
const AT_ONCE = 16;

/**
 * `count` examples, each made of random ones of `data`, different ones as far as there are as many. Example k depends
 * on the data, the kind, the seed and k alone. Inputs other than `input` are those of the first example that it is made
 * of; shapes and types stay. Examples are read when they are asked for.
 *
 * Pixels stay within 0..255, and whole where those are that they are made of. Of other numbers the least and the
 * largest among the first 256 examples are the bounds of what is made; what is only moved stays as it is. What
 * `prepare` has done to `data` counts as done to these.
 *
 * Throws a UsageError for a kind, count or seed that there is not; a DataError where there is no such input, nothing in
 * it could change, or its values are symbols that the kind would have to reckon with (see `recombinationsFor`), which
 * for whole numbers shows when they are read.
 */
export function recombined(
  data: Dataset,
  kind: RecombinationKind,
  { count, seed, input: wanted }: RecombineOptions,
): Dataset {
  if (!Object.hasOwn(kinds, kind)) {
    throw new UsageError(`there is no recombination '${kind}', expected one of ${Object.keys(kinds).join(', ')}`);
  }
  if (!Number.isInteger(count) || count < 1 || count > 2 ** 31) {
    // an index has 32 bits
    throw new UsageError(`${data.name}: ${count} recombined examples asked for, expected 1 to 2^31`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new UsageError(`${data.name}: seed is ${seed}, expected an integer >= 0`);
  }
  const way: Kind = kinds[kind];
  const input = inputOf(data, wanted);
  const shape = data.shapes[input]!;
  const takes = way.takes?.(gridOf(shape)) ?? 1;
  if (!applies(way, data, shape)) {
    const few = data.length < 2 ? `, and ${data.length} example to make it of` : '';
    throw new DataError(`${data.name}: '${input}' is ${shapeText(shape)} an example${few}: ${kind} changes nothing`);
  }
  if (!way.moves && areBytes(data, input)) throw symbolsError(data, input, kind, 'bytes');

  const examples = new RandomStream(seed, `recombined/${kind}/examples`);
  const numbers = new RandomStream(seed, `recombined/${kind}`);
  let known: Promise<Bounds> | undefined;
  const pick = async (indices: ArrayLike<number>): Promise<Readonly<Record<string, DataArray>>> => {
    const sources = Array.from(indices, (index) => different(examples, index, takes, data.length));
    const read = [...new Set(sources.flat())].sort((a, b) => a - b); // each once, in the order of the set
    const rows = new Map(read.map((example, row) => [example, row]));
    const { arrays } = await data.gather(read);
    const symbols = areSymbols(data, input, arrays[input]!.data);
    if (symbols && !way.moves) throw symbolsError(data, input, kind, 'whole numbers');
    known ??= way.moves ? Promise.resolve(unbounded) : boundsOf(data, input);
    const bounds = await known;
    const grid = gridOf(shape, symbols);
    return Object.fromEntries(
      Object.entries(arrays).map(([name, { data: given, shape: dims }]) => {
        const size = sizeOf(dims.slice(1));
        const rowOf = (example: number) => given.subarray(rows.get(example)! * size, (rows.get(example)! + 1) * size);
        const out = blank(given, indices.length * size);
        for (const [i, own] of sources.entries()) {
          const row =
            name === input
              ? way.make(own.map(rowOf), way.draw?.(numbers, indices[i]!, grid) ?? [], grid, bounds)
              : rowOf(own[0]!);
          (out as Float32Array).set(row as Float32Array, i * size);
        }
        return [name, { data: out, shape: [indices.length, ...dims.slice(1)] }];
      }),
    );
  };
  return makeDataset({
    name: `${data.name} ${kind}`,
    length: count,
    shapes: data.shapes,
    pixels: data.pixels,
    judged: data.judged,
    prepared: data.prepared,
    notes: data.notes,
    // It is a source of its own: none of its examples is one of the data's.
    fingerprint: `${data.fingerprint} recombined ${kind} of '${input}' ${count} ${seed}`,
    read: (start, end) => pick(Array.from({ length: end - start }, (_, i) => start + i)),
    pick,
  });
}

/**
 * Those of `recombinations` that change something in the examples of `data`, and mean something. Symbols can only be
 * moved: whole numbers (int64, bool) that are no pixels, as tokens are, and sequences [t] of bytes, as text is. Reads
 * one example, for the type. Throws a DataError where there is no such input, and for corrupt data.
 */
export async function recombinationsFor(data: Dataset, wanted?: string): Promise<readonly Recombination[]> {
  const input = inputOf(data, wanted);
  const { arrays } = await data.gather([0]);
  const symbols = areSymbols(data, input, arrays[input]!.data);
  return recombinations.filter((way) => applies(way, data, data.shapes[input]!) && (way.moves || !symbols));
}

function inputOf(data: Dataset, wanted: string | undefined): string {
  const inputs = Object.keys(data.shapes);
  const size = (name: string) => sizeOf(data.shapes[name]!);
  // Labels are single numbers, or as few as there are classes.
  const largest = inputs.reduce((most, name) => (size(name) > size(most) ? name : most));
  const input = wanted ?? (Object.hasOwn(data.shapes, 'x') ? 'x' : largest);
  if (Object.hasOwn(data.shapes, input)) return input;
  throw new DataError(`${data.name}: has no array '${input}' to recombine, expected one of ${inputs.join(', ')}`);
}

/** Whether the kind changes anything: two equal examples have nothing to give each other. */
function applies(way: Kind, data: Dataset, shape: readonly number[]): boolean {
  const grid = gridOf(shape);
  const alone = way.moves && (way.takes?.(grid) ?? 1) > 1 && data.length === 1;
  return sizeOf(shape) > 0 && way.changes(grid) && !alone;
}

/** Of 'x', or of what it is called now: of the array that is recombined where nobody says which. */
const arePixels = (data: Dataset, input: string) => data.pixels && input === inputOf(data, undefined);

/** Pixels of a single axis: bytes of text, or rows of a picture, which lie beside others than it seems. */
const areBytes = (data: Dataset, input: string) => arePixels(data, input) && data.shapes[input]!.length === 1;

const areSymbols = (data: Dataset, input: string, values: Values) =>
  arePixels(data, input) ? areBytes(data, input) : !(values instanceof Float32Array);

function symbolsError(data: Dataset, input: string, kind: string, what: string): DataError {
  const moving = recombinations.filter(({ moves }) => moves).map(({ name }) => name);
  return new DataError(
    `${data.name}: '${input}' holds ${what}, which ${kind} would take for measured values, expected floats or pixels; symbols can be recombined by ${moving.join(', ')}`,
  );
}

/** `count` different numbers below `length`; where there are fewer, again from the first. */
function different(stream: RandomStream, index: number, count: number, length: number): readonly number[] {
  const chosen: number[] = [];
  for (let k = 0; k < Math.min(count, length); k++) {
    // The r-th of those that are left.
    let example = stream.integer(index, k, length - k);
    for (const other of chosen.toSorted((a, b) => a - b)) if (other <= example) example++;
    chosen.push(example);
  }
  return Array.from({ length: count }, (_, k) => chosen[k % chosen.length]!);
}

/** For what makes no values. */
const unbounded: Bounds = { low: -Infinity, high: Infinity, pixels: false };

async function boundsOf(data: Dataset, input: string): Promise<Bounds> {
  if (arePixels(data, input)) return { low: 0, high: 255, pixels: true };
  let [low, high] = [Infinity, -Infinity];
  for await (const { arrays, start } of data.batches(AT_ONCE, { end: Math.min(data.length, LOOKED_AT) })) {
    const { data: values, shape } = arrays[input]!;
    for (let i = 0; i < values.length; i++) {
      const value = Number(values[i]);
      if (!Number.isFinite(value)) {
        const example = start + Math.floor((i * shape[0]!) / values.length);
        throw new DataError(`${data.name}: '${input}' of example ${example} holds ${value}, expected finite numbers`);
      }
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return { low, high, pixels: false };
}
