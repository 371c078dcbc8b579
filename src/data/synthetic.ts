// Data sets without structure, from a seed: images of one constant colour, and images of independent uniform pixels.

import { aList, checkArguments, checkOptions, oneOf, optional, text } from '../arguments.ts';
import { DataError } from '../errors.ts';
import { RandomStream } from '../tensor/random.ts';
import { type Dataset, fingerprintOf, makeDataset, sizeOf } from './dataset.ts';

export type SyntheticKind = 'constant' | 'noise';

/** What `syntheticDataset` makes: `length` images of shape [c, h, w] for noise and constant colours alike. */
export interface SyntheticOptions {
  readonly length: number;
  readonly shape: readonly number[];
  readonly seed: number;
  /** For messages and reports; default `kind:length`. */
  readonly name?: string;
}

/**
 * `constant`: each image has one random level 0..255 per channel. `noise`: each value is a uniform integer 0..255.
 * Example k depends on the kind, the seed, the shape and k alone, not on the length of the set. Under the input name
 * 'x'. Throws a DataError for a length outside 1..2³¹, a shape that is not of positive sizes, or a seed below 0.
 */
export function syntheticDataset(kind: SyntheticKind, options: SyntheticOptions): Dataset {
  checkArguments('syntheticDataset', { kind }, { kind: oneOf(...Object.keys(fillers)) });
  checkOptions('syntheticDataset', options, { shape: aList, name: optional(text) });
  const { length, shape, seed } = options;
  const name = options.name ?? `${kind}:${length}`;
  if (!Number.isInteger(length) || length < 1)
    throw new DataError(`${name}: ${length} examples asked for, expected >= 1`);
  // index is 32 bits
  if (length > 2 ** 31) throw new DataError(`${name}: ${length} examples asked for, expected at most 2^31`);
  if (shape.length === 0 || shape.some((d) => !Number.isInteger(d) || d < 1)) {
    throw new DataError(`${name}: shape is [${shape.join(', ')}], expected positive sizes such as [1, 28, 28]`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new DataError(`${name}: seed is ${seed}, expected an integer >= 0`);
  const stream = new RandomStream(seed, `data/${kind}`);
  const fill = fillers[kind];
  const size = sizeOf(shape);
  const generate = (n: number, indexOf: (i: number) => number): Float32Array => {
    const data = new Float32Array(n * size);
    for (let i = 0; i < n; i++) fill(stream, indexOf(i), shape, data.subarray(i * size, (i + 1) * size));
    return data;
  };
  return makeDataset({
    name,
    length,
    shapes: { x: shape },
    pixels: true,
    fingerprint: fingerprintOf('synthetic', kind, shape.join('×'), String(length), String(seed)),
    read: async (start, end) => ({
      x: { data: generate(end - start, (i) => start + i), shape: [end - start, ...shape] },
    }),
    pick: async (indices) => ({
      x: { data: generate(indices.length, (i) => indices[i]!), shape: [indices.length, ...shape] },
    }),
  });
}

type Fill = (stream: RandomStream, index: number, shape: readonly number[], out: Float32Array) => void;

const fillers = {
  constant(stream, index, shape, out) {
    const channels = shape[0]!;
    const plane = out.length / channels;
    for (let c = 0; c < channels; c++) out.fill(stream.integer(index, c, 256), c * plane, (c + 1) * plane);
  },
  noise(stream, index, _shape, out) {
    stream.uniform(index, out);
    for (let i = 0; i < out.length; i++) out[i] = Math.floor(out[i]! * 256);
  },
} satisfies Record<SyntheticKind, Fill>;
