// The inputs of an ONNX file in; made-up examples of them out, such as the file may expect, to run it with.

import type { NumberTensor } from '../engine/index.ts';
import { type Graph, nameOf, reachable, requirementsOf } from '../graph/index.ts';
import type { Axes, FileInput, FileModel, Sizes } from '../onnx/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { OnnxOptions } from './onnx.ts';

/** Kinds of data that are tried in turn: nothing says what a file takes. */
export const VARIANTS = 3;

export interface MadeInput {
  readonly name: string;
  /** Examples by number, which stand for other random data each. */
  batch(examples: readonly number[], variant: number): NumberTensor;
}

/** Ranges of whole numbers that a graph demands of its inputs as they come, but for their shape and type. */
export function rangesOf(graph: Graph): Record<string, readonly [number, number]> {
  const ranges = new Map<string, readonly [number, number]>();
  for (const { value, low, high } of requirementsOf(graph)) {
    const behind = reachable([value]);
    const computed = behind.some((v) => v.source.kind === 'node' && v.source.inputs.length > 1);
    const [input] = behind.filter((v) => v.source.kind === 'input');
    if (!input || computed) continue;
    const [from, to] = ranges.get(nameOf(input)) ?? [0, Infinity];
    ranges.set(nameOf(input), [Math.max(from, low), Math.min(to, high)]);
  }
  return Object.fromEntries(ranges);
}

export function makeInputs(model: {
  readonly file: FileModel;
  readonly options: OnnxOptions;
  readonly axes: Axes;
  readonly sizes: Sizes;
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
}): MadeInput[] {
  const { file, options, axes, sizes, ranges } = model;
  const shapes = axes.shapes(sizes);
  return file.graph.inputs.map((v) => {
    const first = v.shape?.[0];
    // An input with a number of its own beside others that leave it open, or with none, is the same for all.
    const shared =
      first === undefined || !axes.isBatched(v.name) || (typeof first === 'number' && first !== axes.batch);
    const one = shapes[v.name] ?? [];
    const dims = shared && typeof first === 'number' ? [first, ...one.slice(1)] : one;
    const fill = filler(v, options, Object.hasOwn(ranges, v.name) ? ranges[v.name] : undefined);
    const size = sizeOf(dims);
    return {
      name: v.name,
      batch(examples, variant) {
        const rows = shared ? [0] : examples;
        const data = new Float64Array(rows.length * size);
        rows.forEach((example, i) => {
          fill(example, variant, data.subarray(i * size, (i + 1) * size));
        });
        return { data, shape: shared ? dims : [rows.length * dims[0]!, ...dims.slice(1)] };
      },
    };
  });
}

type Filler = (example: number, variant: number, out: Float64Array) => void;

function filler(v: FileInput, options: OnnxOptions, range: readonly [number, number] | undefined): Filler {
  const stream = new RandomStream(0, v.name);
  const constants = options.constants ?? {};
  const fixed = Object.hasOwn(constants, v.name) ? constants[v.name] : undefined;
  if (fixed !== undefined) return (_example, _variant, out) => out.fill(fixed);
  if (options.normal?.includes(v.name)) return (example, _variant, out) => stream.normal(example, out);
  if (options.uniform?.includes(v.name)) return (example, _variant, out) => stream.uniform(example, out);
  const { integers = {} } = options;
  const drawn = Object.hasOwn(integers, v.name) ? integers[v.name] : undefined;
  if (drawn || range || v.dtype !== 'float') {
    const [low, high] = drawn ?? range ?? [0, 1];
    return (example, variant, out) => {
      const below = variant === 0 ? high - low + 1 : Math.min(2, high - low + 1);
      for (let k = 0; k < out.length; k++) out[k] = low + stream.integer(example, k, below);
    };
  }
  const within =
    (low: number, high: number): Filler =>
    (example, _variant, out) => {
      stream.uniform(example, out);
      for (let k = 0; k < out.length; k++) out[k] = low + (high - low) * out[k]!;
    };
  if (options.pixels) return within(...options.pixels);
  const kinds = [
    within(0.05, 0.95),
    (example, _variant, out) => stream.normal(example, out),
    within(0, 255),
  ] satisfies Filler[];
  return (example, variant, out) => kinds[variant]!(example, variant, out);
}
