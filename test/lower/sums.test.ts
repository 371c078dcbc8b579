// A weight that is used several times: its norms from one product at all its positions, against the float64
// interpreter.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/norms.ts';
import { Arena, print, type Value } from '../../src/graph/index.ts';
import { describeNorms, estimateMemory, lower } from '../../src/lower/index.ts';
import * as o from '../../src/ops/index.ts';
import { expectBatchedNorms, expectDifferenceNorms } from '../support/norms.ts';
import { randomWeights } from '../support/run.ts';

const [V, D, P] = [7, 3, 4];

type Use = (h: Value, table: Value, ids: Value) => Value;

/** Ways of using a weight [V, D]: a value [P, D] in, one out. */
const uses = {
  rows: (h, table, ids) => o.add(h, o.rows(table, ids)),
  moreRows: (h, table, ids) => o.mul(h, o.rows(table, o.slice(ids, 0, 0, 1))),
  hot: (h, table, ids) => o.add(h, o.matmul(o.hotRows(ids, V), o.tanh(table))),
  tied: (h, table) => o.add(h, o.mul(o.reduceSum(o.logSoftmax(o.matmul(h, o.transpose(table)), 1), [1], true), 0.05)),
  twice: (h, table) => o.matmul(o.tanh(o.matmul(h, o.transpose(table))), table),
  pieces: (h, table) => {
    const [a, b] = [o.slice(table, 0, 0, D), o.slice(table, 0, D, 2 * D)];
    return o.add(o.matmul(h, a), o.matmul(o.tanh(h), b));
  },
  scaled: (h, table) => o.matmul(o.sigmoid(o.matmul(h, o.transpose(o.mul(table, 0.5)))), table),
  convolved: (h, table) => {
    const w = o.reshape(o.slice(table, 0, 0, D), [D, D, 1]);
    const x = o.reshape(o.transpose(h), [1, D, P]);
    return o.transpose(o.reshape(o.conv(o.tanh(o.conv(x, w)), w), [D, P]));
  },
  steps: (h, table) => {
    const cell = o.slice(table, 0, 0, D);
    let state = o.slice(h, 0, 0, 1);
    const states = Array.from({ length: P }, (_, t) => {
      state = o.tanh(o.add(o.matmul(state, cell), o.add(o.slice(h, 0, t, t + 1), o.slice(table, 0, -1, V))));
      return state;
    });
    return o.concat(states, 0);
  },
} satisfies Record<string, Use>;

const names = fc.array(fc.constantFrom(...(Object.keys(uses) as (keyof typeof uses)[])), {
  minLength: 1,
  maxLength: 4,
});

function lossOf(list: readonly (keyof typeof uses)[]): Value {
  const arena = new Arena();
  const ids = o.toInt(o.mul(arena.input('ids', [P]), 4)); // some of them name no row
  let h = o.mul(arena.input('x', [P, D]), arena.param('scale', [D]));
  const table = arena.param('table', [V, D]);
  for (const name of list) {
    const use: Use = uses[name];
    h = use(h, table, ids);
  }
  return o.reduceSum(o.square(h));
}

describe('a weight that is used several times', () => {
  it('has the norms that finite differences find', () => {
    fc.assert(
      fc.property(names, (list) => {
        expectDifferenceNorms(lossOf(list), list.join(' '));
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  it('has the same norms in one batched pass, for every plan, group size and batch size', async () => {
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.constantFrom('auto', 'direct', 'gram'),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        async (list, plan, group, groups) => {
          await expectBatchedNorms(lossOf(list), { plan, group, groups }, list.join(' '));
        },
      ),
      { numRuns: 80, seed: 6 },
    );
  });
});

/**
 * Rows of a table of `v` by index, a layer, and the table again as the head, in which the index after next is looked
 * up.
 */
function tiedModel(v: number, d: number, p: number): Value {
  const arena = new Arena();
  const ids = o.toInt(arena.input('ids', [p]));
  const table = arena.param('table', [v, d]);
  const h = o.tanh(o.matmul(o.rows(table, ids), arena.param('w', [d, d])));
  const logs = o.logSoftmax(o.matmul(h, o.transpose(table)), 1);
  return o.neg(o.reduceSum(o.mul(logs, o.hotRows(ids, v))));
}

describe('an embedding that is the head as well', () => {
  it('makes nothing of its own size for each example', () => {
    const [v, d, p] = [1000, 40, 5];
    const { graph, norms } = normGraph(tiedModel(v, d, p));
    expect(describeNorms(graph, norms).map((c) => c.plan)).toEqual(['gram', 'gram']);
    const { perExample } = estimateMemory(graph);
    expect(perExample).toBeLessThan(4 * v * d);
    const nodes = lower(graph, { examples: 3, group: 1, weights: randomWeights(graph) }).nodes;
    expect(nodes.filter((node) => node.op === 'OneHot')).toHaveLength(1); // of what is looked up in the loss
  });

  it('has two products with the table in its norms: none for the rows', () => {
    const [v, d, p] = [1000, 40, 5];
    const { graph, norms } = normGraph(tiedModel(v, d, p));
    const [, table] = describeNorms(graph, norms)
      .map((c) => c.multiplications)
      .sort((a, b) => a - b);
    expect(table).toBe(p * p * v + (2 * p) ** 2 * (d + 1));
  });
});

describe('a recurrence', () => {
  it('has one product for all steps of a weight', () => {
    const arena = new Arena();
    const [x, w, b] = [arena.input('x', [6, 5]), arena.param('w', [5, 5]), arena.param('b', [5])];
    let h = o.slice(x, 0, 0, 1);
    for (let t = 0; t < 6; t++) h = o.tanh(o.add(o.add(o.matmul(h, w), b), o.slice(x, 0, t, t + 1)));
    const { graph } = normGraph(o.reduceSum(h));
    expect(print(graph).match(/OuterSum/g)).toHaveLength(1);
    expect(print(graph).match(/GroupSum/g)).toHaveLength(3); // of the loss, the weight and the bias
  });
});
