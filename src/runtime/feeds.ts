// What a model's inputs are fed with for given examples: pixels from the data, noise from the seed and each one's index.

import type { Batch } from '../data/dataset.ts';
import { ModelError } from '../errors.ts';
import { nameOf, type Value } from '../graph/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { TensorData } from './session.ts';

/** Shape in which an input is fed: the examples in front, a first axis of size 1 dropped (see graph/record.ts). */
export function feedShape(shape: Shape, n: number): number[] {
  return [n, ...(shape[0] === 1 ? shape.slice(1) : shape)];
}

/**
 * Feeds for the examples of `batch`, whose draws have the numbers `draws` (an example's index, so that its noise does not
 * depend on the batch it sits in; in training, epoch · length + index).
 */
export function feedsFor(
  inputs: readonly Value[],
  batch: Batch,
  draws: ArrayLike<number>,
  seed: number,
): Record<string, TensorData> {
  return Object.fromEntries(
    inputs.map((input) => {
      const name = nameOf(input);
      const shape = feedShape(input.shape, batch.n);
      const size = sizeOf(input.shape);
      const from = input.source.kind === 'input' ? input.source.from : 'data';
      if (from === 'data') return [name, fromBatch(input, batch, shape)];
      const data = new Float32Array(batch.n * size);
      const stream = new RandomStream(seed, name);
      for (let i = 0; i < batch.n; i++) stream[from](draws[i]!, data.subarray(i * size, (i + 1) * size));
      return [name, { data, shape }];
    }),
  );
}

function fromBatch(input: Value, batch: Batch, shape: number[]): TensorData {
  const name = nameOf(input);
  const array = Object.hasOwn(batch.arrays, name) ? batch.arrays[name] : undefined;
  if (!array) throw new ModelError(`the data have no array '${name}', which the model takes as input`);
  if (!sameShape(array.shape, shape)) {
    throw new ModelError(
      `the data are ${shapeText(array.shape.slice(1))} an example, the model takes ${shapeText(shape.slice(1))} as '${name}'`,
    );
  }
  return { data: typed(name, array.data, input.dtype, batch), shape };
}

/** The numbers in the type that the model takes; whole numbers are converted, others refused where whole ones are wanted. */
function typed(name: string, data: TensorData['data'], dtype: Value['dtype'], batch: Batch): TensorData['data'] {
  if (dtype === 'float')
    return data instanceof Float32Array ? data : Float32Array.from(data as ArrayLike<number>, Number);
  const holds = dtype === 'bool' ? isTruth : isLong;
  let odd = data.length - 1;
  while (odd >= 0 && holds(data[odd]!)) odd--;
  if (odd >= 0) {
    const example = batch.start + Math.floor((odd * batch.n) / data.length);
    const kind = dtype === 'bool' ? 'zeros and ones' : 'whole numbers of 64 bits';
    throw new ModelError(`example ${example}: the model takes ${kind} as '${name}', the data have ${data[odd]}`);
  }
  if (dtype === 'bool') return data instanceof Uint8Array ? data : Uint8Array.from(data as ArrayLike<number>, Number);
  return data instanceof BigInt64Array ? data : BigInt64Array.from(data as ArrayLike<number>, BigInt);
}

const isTruth = (v: number | bigint) => Number(v) === 0 || Number(v) === 1;

/** Beyond 64 bits a number would come out as another one. */
const isLong = (v: number | bigint) => typeof v === 'bigint' || (Number.isInteger(v) && v >= -(2 ** 63) && v < 2 ** 63);
