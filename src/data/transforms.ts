// Data sets from data sets: some of the examples, in some order; images with a border of zeros.

import { checkArguments, dataset } from '../arguments.ts';
import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Batch, checkRange, type DataArray, type Dataset, makeDataset } from './dataset.ts';
import { pickOf, sliceOf } from './origin.ts';

/**
 * Examples start..end-1 as a data set of its own. Throws a DataError or UsageError for a range that the set does not
 * have.
 */
export function take(data: Dataset, start: number, end: number): Dataset {
  checkArguments('take', { data }, { data: dataset });
  checkRange(data.name, data.length, { start, end });
  const arrays = async (batches: AsyncIterable<Batch>) => {
    for await (const batch of batches) return batch.arrays;
    throw new DataError(`${data.name}: ended before example ${end}`);
  };
  return makeDataset({
    name: `${data.name}[${start}:${end}]`,
    length: end - start,
    shapes: data.shapes,
    pixels: data.pixels,
    judged: data.judged,
    prepared: data.prepared,
    ids: data.ids && ((indices) => data.ids!(Array.from(indices, (i) => start + i))),
    notes: data.notes,
    fingerprint: `${data.fingerprint}[${start}:${end}]`,
    origin: sliceOf(data.origin, start, end),
    read: (from, to) => arrays(data.batches(to - from, { start: start + from, end: start + to })),
    pick: async (indices) => (await data.gather(Array.from(indices, (i) => start + i))).arrays,
  });
}

/**
 * The examples at `indices`, in their order. `what` is added to the name; `key`, which must tell which they are, to the
 * fingerprint.
 */
export function select(data: Dataset, indices: Uint32Array, what: string, key = what): Dataset {
  return makeDataset({
    name: data.name + what,
    length: indices.length,
    shapes: data.shapes,
    pixels: data.pixels,
    judged: data.judged,
    prepared: data.prepared,
    ids: data.ids && ((asked) => data.ids!(Array.from(asked, (i) => indices[i]!))),
    notes: data.notes,
    fingerprint: data.fingerprint + key,
    origin: pickOf(data.origin, indices),
    read: async (start, end) => (await data.gather(indices.subarray(start, end))).arrays,
    pick: async (asked) => (await data.gather(Array.from(asked, (i) => indices[i]!))).arrays,
  });
}

/**
 * Images [c, h, w] under 'x' with zeros around them, centred, to [c, height, width]. Throws a DataError where they are
 * larger, or no images.
 */
export function pad(data: Dataset, height: number, width: number): Dataset {
  checkArguments('pad', { data }, { data: dataset });
  const shape = data.shapes.x;
  if (shape?.length !== 3) throw new DataError(`${data.name}: holds no images, so there is nothing to pad`);
  const [c, h, w] = shape as [number, number, number];
  if (h === height && w === width) return data;
  if (![height, width].every((d) => Number.isInteger(d) && d > 0)) {
    throw new DataError(`${data.name}: to be padded to ${height}×${width}, expected positive whole numbers`);
  }
  if (h > height || w > width) {
    throw new DataError(`${data.name}: images are ${shapeText(shape)}, larger than the ${height}×${width} to pad to`);
  }
  const [top, left] = [Math.floor((height - h) / 2), Math.floor((width - w) / 2)];
  const padded = (arrays: Readonly<Record<string, DataArray>>): Record<string, DataArray> => {
    const { data: from, shape: dims } = arrays.x!;
    const n = dims[0]!;
    const length = n * c * height * width;
    const to = from instanceof BigInt64Array ? new BigInt64Array(length) : new Float32Array(length);
    for (let image = 0; image < n * c; image++) {
      for (let row = 0; row < h; row++) {
        const source = from.subarray((image * h + row) * w, (image * h + row + 1) * w) as Float32Array;
        (to as Float32Array).set(source, (image * height + top + row) * width + left);
      }
    }
    return { ...arrays, x: { data: to, shape: [n, c, height, width] } };
  };
  return mapExamples(data, { ...data.shapes, x: [c, height, width] }, `padded ${height}×${width}`, padded);
}

type Arrays = Readonly<Record<string, DataArray>>;

/**
 * The examples, each batch of them mapped; `what` is done to them, parameters and all, tells the new set's fingerprint
 * from the old one's. `indexOf` a row of the arrays is the index of its example.
 */
export function mapExamples(
  data: Dataset,
  shapes: Dataset['shapes'],
  what: string,
  map: (arrays: Arrays, indexOf: (i: number) => number) => Arrays | Promise<Arrays>,
): Dataset {
  return makeDataset({
    name: data.name,
    length: data.length,
    shapes,
    pixels: data.pixels,
    judged: data.judged,
    ids: data.ids,
    prepared: what === '' ? data.prepared : undefined,
    notes: data.notes,
    fingerprint: what === '' ? data.fingerprint : `${data.fingerprint} ${what}`,
    origin: data.origin,
    read: async (start, end) => {
      for await (const batch of data.batches(end - start, { start, end })) return map(batch.arrays, (i) => start + i);
      throw new DataError(`${data.name}: ended before example ${end}`);
    },
    pick: async (indices) => map((await data.gather(indices)).arrays, (i) => indices[i]!),
  });
}

/** The same examples with one array under another name. */
export function rename(data: Dataset, from: string, to: string): Dataset {
  const renamed = <T>(entries: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(entries).map(([name, value]) => [name === from ? to : name, value]));
  return mapExamples(data, renamed(data.shapes), '', renamed);
}

/** The same examples with the numbers of one array in another shape; what they are does not change. */
export function reshaped(data: Dataset, name: string, shape: readonly number[]): Dataset {
  return mapExamples(data, { ...data.shapes, [name]: shape }, '', (arrays) => {
    const { data: values, shape: dims } = arrays[name]!;
    return { ...arrays, [name]: { data: values, shape: [dims[0]!, ...shape] } };
  });
}

/** The same examples with something that users should know of them. */
export const noted = (data: Dataset, note: string): Dataset => ({ ...data, notes: () => [...data.notes(), note] });
