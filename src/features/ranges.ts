// A graph in which places in tables and classes are computed or come from data; what tells, after each run, whether
// they were there.

import type { FloatTensor } from '../engine/index.ts';
import { DataError } from '../errors.ts';
import { type Graph, nameOf, type Requirement, reachable, requirementsOf, type Value } from '../graph/index.ts';
import { abs, concat, neg, reduceMax, reshape, round, sub, toFloat } from '../ops/index.ts';

const OUTPUT = 'ranges';

export interface RangedGraph {
  readonly graph: Graph;
  /**
   * Throws a DataError that names the first of `n` examples in which a number is out of its range; `start` is the index
   * of example 0.
   */
  check(outputs: Readonly<Record<string, FloatTensor>>, n: number, data: string, start: number): void;
}

/**
 * A table is looked up by products with ones and zeros, where a place that is not there would be a row of zeros and go
 * unnoticed. So the smallest and the largest of every such number, and how far they are from whole, become an output,
 * one row for each example. `loss` is the one that the graph is of, as it is written: what is looked up in its graph
 * may be nowhere in one that has been rewritten or differentiated.
 */
export function withRanges(graph: Graph, loss: Value): RangedGraph {
  const required = requirementsOf({ arena: loss.arena, outputs: { loss } });
  if (required.length === 0) return { graph, check: () => undefined };
  const extremes = required.flatMap(({ value }) => {
    const x = toFloat(value);
    const odd = value.dtype === 'float' ? reduceMax(abs(sub(x, round(x)))) : graph.arena.constant(0);
    return [neg(reduceMax(neg(x))), reduceMax(x), odd];
  });
  const each = extremes.map((v) => reshape(v, [1]));
  const outputs = { ...graph.outputs, [OUTPUT]: concat(each, 0) };
  return {
    graph: { arena: graph.arena, outputs },
    check(found, n, data, start) {
      const rows = found[OUTPUT]!.data;
      for (let i = 0; i < n; i++) {
        for (const [k, requirement] of required.entries()) {
          const at = (i * required.length + k) * 3;
          const wrong = fault(requirement, rows[at]!, rows[at + 1]!, rows[at + 2]!);
          if (wrong !== undefined) throw new DataError(`${data}: example ${start + i}: ${wrong}`);
        }
      }
    },
  };
}

/** What is wrong with numbers of this smallest, largest and distance from whole. */
function fault({ value, low, high, by }: Requirement, least: number, most: number, odd: number): string | undefined {
  const from = reachable([value]).filter((v) => v.source.kind === 'input');
  const gives = (found: string) =>
    `${from.map((v) => `'${nameOf(v)}'`).join(' and ')} gives ${found}, where ${by} takes whole numbers from ${low} to ${high}`;
  if (!(least >= low)) return gives(String(least));
  if (!(most <= high)) return gives(String(most));
  return odd === 0 ? undefined : gives('a number that is not whole');
}
