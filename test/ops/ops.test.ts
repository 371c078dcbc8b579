// Every op of the table: its gradient against finite differences, its lowering against the float64 rule with every
// combination of operands that vary with the example and operands that do not.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { Arena, inputsOf, interpret, nameOf, type Value, verify } from '../../src/graph/index.ts';
import * as o from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectClose } from '../support/compare.ts';
import {
  finiteDifferences,
  interpretEach,
  randomData,
  randomInputs,
  randomWeights,
  runLowered,
} from '../support/run.ts';
import { tolerance } from '../support/tolerances.ts';
import { type OpCase, opCases } from './cases.ts';

const seed = 20240301;

/**
 * The case's value over operands made by `leaf`, kept away from the kinks and poles of functions of positive numbers.
 */
function build(c: OpCase, leaf: (name: string, i: number) => Value): Value {
  const values = c.operands.map((_, i) => leaf(`a${i}`, i));
  return c.build(values.map((v) => (c.positive ? o.add(o.exp(v), 0.3) : v)));
}

/** Σ y·c with fixed random c: a scalar whose gradient exercises every element of y. */
function weighted(y: Value): Value {
  return o.reduceSum(o.mul(y, y.arena.constant(randomData('weights', sizeOf(y.shape)), y.shape)));
}

describe.each(Object.keys(opCases) as (keyof typeof opCases)[])('%s', (name) => {
  it('has the gradient that finite differences find', () => {
    fc.assert(
      fc.property(opCases[name], (c) => {
        const arena = new Arena();
        const y = build(c, (leaf, i) => arena.input(leaf, c.operands[i]!));
        const loss = o.add(weighted(y), arena.constant(0));
        const leaves = inputsOf({ arena, outputs: { loss } });
        const bindings = Object.fromEntries(leaves.map((x) => [nameOf(x), randomData(nameOf(x), sizeOf(x.shape))]));
        for (const x of leaves) {
          const numeric = finiteDifferences(loss, bindings, nameOf(x));
          if (numeric.every((d) => d === 0)) continue; // piecewise constant: there may be no path at all
          const [dX] = differentiate(loss, [x]);
          const graph = verify({ arena, outputs: { dX: dX! } });
          expectClose(interpret(graph, bindings).dX!.data, numeric, tolerance.finiteDifference, `d/d${x}`);
        }
      }),
      { numRuns: 25, seed },
    );
  });

  it('is lowered to what the float64 rule computes', async () => {
    await fc.assert(
      fc.asyncProperty(opCases[name], fc.nat(7), fc.integer({ min: 1, max: 3 }), async (c, batched, n) => {
        const arena = new Arena();
        const y = build(c, (leaf, i) =>
          (batched >> i) & 1 ? arena.input(leaf, c.operands[i]!) : arena.param(leaf, c.operands[i]!),
        );
        const graph = verify({ arena, outputs: { y } });
        const inputs = randomInputs(graph, n);
        const weights = randomWeights(graph, 1);
        const expected = interpretEach(graph, inputs, n, weights).map((r) => r.y!);
        const { y: actual } = await runLowered(graph, inputs, { examples: n, weights });
        const all = y.lead === 'none' ? expected[0]! : Float64Array.from(expected.flatMap((e) => [...e]));
        expectClose(actual!.data, all, tolerance.float32);
      }),
      { numRuns: 25, seed },
    );
  });
});

describe('the table of ops', () => {
  it('names each record as its key', () => {
    for (const [key, record] of Object.entries(o.ops)) expect(record.name).toBe(key);
  });
});
