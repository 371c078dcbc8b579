// What a model's inputs are fed with for given examples: pixels from the data, noise from the seed and each one's index
// or content.

import type { Batch } from '../data/dataset.ts';
import { ModelError } from '../errors.ts';
import { type InputKind, nameOf, type Value } from '../graph/index.ts';
import { host } from '../host.ts';
import { RandomStream } from '../tensor/random.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { TensorData } from './runtime.ts';

/** Shape in which an input is fed: the examples in front, a first axis of size 1 dropped (see graph/record.ts). */
function feedShape(shape: Shape, n: number): number[] {
  return [n, ...(shape[0] === 1 ? shape.slice(1) : shape)];
}

/** Draws told by the content of the examples, which come in groups of this many. */
export interface ByContent {
  readonly group: number;
}

/**
 * Feeds for the examples of `batch`. What tells one example's noise from another's does not depend on the batch it sits
 * in: `draws` are the numbers of the draws (an example's index; in training, epoch · length + index), or say that the
 * content does. Then examples whose inputs are the same numbers have the same noise, wherever they stand; but of equal
 * ones in one group every one has its own, the k-th the same in every group: their sum is what is measured, and noise
 * that they shared would count as if it were the model's. `samples`: of several draws of each example's noise those
 * that are wanted, from 0; the batch is repeated for each. Default: the first alone.
 */
export function feedsFor(
  inputs: readonly Value[],
  batch: Batch,
  draws: ArrayLike<number> | ByContent,
  seed: number,
  samples: readonly number[] = [0],
): Record<string, TensorData> {
  const fed = new Map<string, TensorData>();
  for (const input of inputs) {
    if (kindOf(input) === 'data') fed.set(nameOf(input), fromBatch(input, batch, feedShape(input.shape, batch.n)));
  }
  const random = inputs.filter((input) => kindOf(input) !== 'data');
  const rows = batch.n * samples.length;
  // Before they are repeated; contents are hashed for random inputs alone.
  const draw =
    'group' in draws && random.length > 0 ? byContent(fed, batch.n, draws) : byNumber('group' in draws ? [] : draws);
  for (const [name, one] of fed) fed.set(name, repeated(one, samples.length));
  for (const input of random) {
    const size = sizeOf(input.shape);
    const data = kindOf(input) === 'integer' ? new Float64Array(rows * size) : new Float32Array(rows * size);
    const stream = new RandomStream(seed, nameOf(input));
    const fill = drawsOf(input);
    for (const [k, sample] of samples.entries()) {
      const own = sampleOf(stream, sample);
      for (let i = 0; i < batch.n; i++) {
        const { from, index } = draw(own, i);
        const row = k * batch.n + i;
        fill(from, index, data.subarray(row * size, (row + 1) * size));
      }
    }
    fed.set(nameOf(input), { data: ofType(input.dtype, data), shape: feedShape(input.shape, rows) });
  }
  return Object.fromEntries(inputs.map((input) => [nameOf(input), fed.get(nameOf(input))!]));
}

/** What tells the streams of further draws from those of contents. */
const SAMPLE = 0x73616d70;

/** The stream of a further draw of everything; the first is the stream itself. */
const sampleOf = (stream: RandomStream, sample: number): RandomStream =>
  sample === 0 ? stream : stream.of([SAMPLE, sample]);

function repeated({ data, shape: [n, ...rest] }: TensorData, times: number): TensorData {
  if (times === 1) return { data, shape: [n!, ...rest] };
  const all = new (data.constructor as new (length: number) => TensorData['data'])(times * data.length);
  for (let k = 0; k < times; k++) all.set(data as never, k * data.length);
  return { data: all, shape: [times * n!, ...rest] };
}

type Drawn = Float32Array | Float64Array;

/** How the numbers of one example are drawn. */
function drawsOf({ source }: Value): (from: RandomStream, index: number, out: Drawn) => void {
  const { from: kind, range } = source.kind === 'input' ? source : { from: 'normal' as const, range: undefined };
  if (kind !== 'integer') return (from, index, out) => from[kind as 'normal' | 'uniform'](index, out);
  const [low, high] = range!;
  return (from, index, out) => {
    for (let k = 0; k < out.length; k++) out[k] = low + from.integer(index, k, high - low + 1);
  };
}

function ofType(dtype: Value['dtype'], data: Drawn): TensorData['data'] {
  if (dtype === 'float') return data instanceof Float32Array ? data : Float32Array.from(data);
  return dtype === 'bool' ? Uint8Array.from(data) : BigInt64Array.from(Array.from(data, BigInt));
}

const kindOf = (input: Value): InputKind => (input.source.kind === 'input' ? input.source.from : 'data');

/** The stream and the number in it of an example's draw. */
type Draw = (stream: RandomStream, i: number) => { readonly from: RandomStream; readonly index: number };

const byNumber =
  (draws: ArrayLike<number>): Draw =>
  (stream, i) => ({ from: stream, index: draws[i]! });

/** Draw k of a content's own stream for the (k + 1)-th example with this content in its group. */
function byContent(fed: ReadonlyMap<string, TensorData>, n: number, { group }: ByContent): Draw {
  const inputs = [...fed]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { data }]) => [name, canonical(data)] as const);
  const seen = new Map<string, number>();
  const found = Array.from({ length: n }, (_, i) => {
    if (i % group === 0) seen.clear();
    const hash = host().sha256();
    for (const [name, data] of inputs) {
      const stride = data.length / n;
      const { buffer, byteOffset, byteLength } = data.subarray(i * stride, (i + 1) * stride);
      hash.update(`${name}:`).update(new Uint8Array(buffer, byteOffset, byteLength));
    }
    const key = hash.digest().slice(0, 16);
    const content = [wordOf(key.slice(0, 8)), wordOf(key.slice(8))] as const;
    const index = seen.get(key) ?? 0;
    seen.set(key, index + 1);
    return { content, index };
  });
  return (stream, i) => ({ from: stream.of(found[i]!.content), index: found[i]!.index });
}

/** Four bytes in hexadecimal, the lowest first. */
const wordOf = (hex: string): number => Number(`0x${hex.match(/../g)!.reverse().join('')}`);

/** The same numbers in one spelling: −0 equals 0. */
function canonical(data: TensorData['data']): TensorData['data'] {
  return data instanceof Float32Array ? data.map((v) => v + 0) : data;
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

/**
 * The numbers in the type that the model takes; whole numbers are converted, others refused where whole ones are
 * wanted.
 */
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
