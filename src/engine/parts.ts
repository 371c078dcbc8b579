// The examples of a run in parts of one size: what goes into each, and what comes out put together again.

import { type Graph, nameOf, type Value } from '../graph/index.ts';
import type { Feeds, FloatTensor, Outputs, TensorData } from './runtime.ts';

/**
 * Where parts of `size` examples begin that hold all `examples` between them, in whole groups, none larger than `most`.
 * Where they do not come out even, the last one begins within the one before.
 */
export function partsOf(
  examples: number,
  most: number,
  group: number,
): { readonly size: number; readonly starts: readonly number[] } {
  const count = Math.ceil(examples / most);
  const size = group * Math.ceil(examples / group / count);
  const starts = Array.from({ length: Math.ceil(examples / size) }, (_, k) => Math.min(k * size, examples - size));
  return { size, starts };
}

/** What examples `start` to `start + size` are fed with, of feeds for `examples`. */
export function cut(
  feeds: Feeds,
  inputs: readonly Value[],
  { start, size, examples }: { readonly start: number; readonly size: number; readonly examples: number },
): Feeds {
  if (size === examples) return feeds;
  const parts = inputs.flatMap((input): [string, TensorData][] => {
    const name = nameOf(input);
    const whole = feeds[name];
    if (!whole) return [];
    const stride = whole.data.length / examples;
    const data = whole.data.slice(start * stride, (start + size) * stride);
    return [[name, { data, shape: [size, ...whole.shape.slice(1)] }]];
  });
  return { ...feeds, ...Object.fromEntries(parts) };
}

/** The outputs of a run of so many examples, to be put together from those of its parts. */
export function joined(graph: Graph, { examples, group }: { readonly examples: number; readonly group: number }) {
  const outputs: Record<string, FloatTensor> = {};
  return {
    outputs: outputs as Outputs,
    /** Those of the examples from `start` on. */
    put(start: number, part: Outputs): void {
      for (const [name, found] of Object.entries(part)) {
        const lead = graph.outputs[name]!.lead;
        const rows = lead === 'example' ? examples : examples / group;
        if (lead === 'none' || found.shape[0] === rows) {
          outputs[name] = found;
          continue;
        }
        const stride = found.data.length / found.shape[0]!;
        outputs[name] ??= { data: new Float32Array(rows * stride), shape: [rows, ...found.shape.slice(1)] };
        outputs[name].data.set(found.data, (lead === 'example' ? start : start / group) * stride);
      }
    },
  };
}
