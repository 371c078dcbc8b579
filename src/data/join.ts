// Several data sets of one kind in, such as the shards of one; one data set, one after the other, out.

import { DataError } from '../errors.ts';
import { sameShape, shapeText } from '../tensor/shape.ts';
import { type DataArray, type Dataset, fingerprintOf, makeDataset } from './dataset.ts';

/** All examples of `sets`, in their order. Throws a DataError where the sets differ in inputs, shapes or types. */
export function join(sets: readonly Dataset[], name: string): Dataset {
  const [first, ...others] = sets;
  if (first === undefined) throw new DataError(`${name}: holds no examples`);
  if (others.length === 0 && first.name === name) return first;
  const inputs = Object.entries(first.shapes);
  for (const set of others) {
    const found = Object.keys(set.shapes);
    if (found.length !== inputs.length || inputs.some(([input]) => !Object.hasOwn(set.shapes, input))) {
      const expected = inputs.map(([input]) => input).join(', ');
      throw new DataError(`${set.name}: has the arrays ${found.join(', ')}, expected ${expected} as in ${first.name}`);
    }
    for (const [input, shape] of inputs) {
      const own = set.shapes[input]!;
      if (!sameShape(own, shape)) {
        throw new DataError(
          `${set.name}: '${input}' is ${shapeText(own)} an example, expected ${shapeText(shape)} as in ${first.name}`,
        );
      }
    }
    if (set.pixels !== first.pixels) {
      const kind = (of: Dataset) => (of.pixels ? 'pixels' : 'numbers that are no pixels');
      throw new DataError(`${set.name}: holds ${kind(set)}, expected ${kind(first)} as in ${first.name}`);
    }
  }
  const starts: number[] = [];
  let length = 0;
  for (const set of sets) {
    starts.push(length);
    length += set.length;
  }
  const whichOf = (index: number) => {
    let low = 0;
    for (let high = starts.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const named = sets.every((set) => set.ids);
  return makeDataset({
    name,
    length,
    shapes: first.shapes,
    pixels: first.pixels,
    fingerprint: fingerprintOf('joined', ...sets.map((set) => set.fingerprint)),
    notes: () => sets.flatMap((set) => set.notes()),
    ...(named ? { ids: (indices) => idsOf(sets, starts, whichOf, indices) } : {}),
    async read(start, end) {
      const pieces: Readonly<Record<string, DataArray>>[] = [];
      for (let at = start; at < end; ) {
        const which = whichOf(at);
        const [set, offset] = [sets[which]!, starts[which]!];
        const to = Math.min(end, offset + set.length);
        for await (const { arrays } of set.batches(to - at, { start: at - offset, end: to - offset })) {
          pieces.push(arrays);
        }
        at = to;
      }
      return pieces.length === 1 ? pieces[0]! : joined(pieces, name);
    },
    async pick(indices) {
      const pieces: Readonly<Record<string, DataArray>>[] = [];
      for (let i = 0; i < indices.length; ) {
        const which = whichOf(indices[i]!);
        const own: number[] = [];
        for (; i < indices.length && whichOf(indices[i]!) === which; i++) own.push(indices[i]! - starts[which]!);
        pieces.push((await sets[which]!.gather(own)).arrays);
      }
      return pieces.length === 1 ? pieces[0]! : joined(pieces, name);
    },
  });
}

async function idsOf(
  sets: readonly Dataset[],
  starts: readonly number[],
  whichOf: (index: number) => number,
  indices: ArrayLike<number>,
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let i = 0; i < indices.length; ) {
    const which = whichOf(indices[i]!);
    const own: number[] = [];
    for (; i < indices.length && whichOf(indices[i]!) === which; i++) own.push(indices[i]! - starts[which]!);
    ids.push(...(await sets[which]!.ids!(own)));
  }
  return ids;
}

/** Arrays of the same inputs one after the other. */
function joined(pieces: readonly Readonly<Record<string, DataArray>>[], name: string): Record<string, DataArray> {
  return Object.fromEntries(
    Object.keys(pieces[0]!).map((input) => {
      const parts = pieces.map((piece) => piece[input]!);
      const [{ data: first, shape }] = parts as [DataArray, ...DataArray[]];
      const length = parts.reduce((sum, { data }) => sum + data.length, 0);
      const n = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
      const out =
        first instanceof BigInt64Array
          ? new BigInt64Array(length)
          : first instanceof Uint8Array
            ? new Uint8Array(length)
            : new Float32Array(length);
      let at = 0;
      for (const { data } of parts) {
        if (data.constructor !== out.constructor) {
          throw new DataError(`${name}: '${input}' has numbers of several types in its parts, expected one`);
        }
        (out as Float32Array).set(data as Float32Array, at);
        at += data.length;
      }
      return [input, { data: out, shape: [n, ...shape.slice(1)] }];
    }),
  );
}
