// Every ONNX operator: its value against ONNX Runtime's own, its gradient against finite differences, its lowering
// against the float64 rules with every operand that may vary with the example doing so or not.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { operatorTable } from '../../scripts/make-operators.ts';
import { differentiate } from '../../src/autodiff/index.ts';
import { interpret, type Value } from '../../src/graph/index.ts';
import { operators, withoutGradient } from '../../src/onnx/index.ts';
import { add, mul, reduceSum, toFloat } from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectClose } from '../support/compare.ts';
import { bindingsOf, importNode, isFree, type NodeCase, newArena, runtimeOutput } from '../support/onnx.ts';
import {
  finiteDifferences,
  interpretEach,
  randomData,
  randomInputs,
  randomWeights,
  runLowered,
} from '../support/run.ts';
import { cases, notRunAlone } from './cases.ts';
import { randomCases } from './random-cases.ts';

/** Σ y·c with fixed random c. */
function weighted(y: Value): Value {
  return reduceSum(mul(toFloat(y), y.arena.constant(randomData('weights', sizeOf(y.shape)), y.shape)));
}

/** Value against ONNX Runtime's, gradient against finite differences, lowering against the float64 rules. */
async function checkNode(c: NodeCase): Promise<void> {
  const { op } = c;
  const bindings = bindingsOf(c);
  const arena = newArena();
  const y = importNode(arena, c, (name, shape) => arena.param(name, shape));
  const value = interpret({ arena, outputs: { y } }, bindings).y!;
  const accuracy = op === 'Resize' ? 1e-4 : 2e-5; // ONNX Runtime computes coordinates in float32
  expectClose(value.data, await runtimeOutput(c), accuracy, op, 5e-2);

  // Gradients. The zero keeps a loss that turned out constant a value of its own.
  const loss = add(weighted(y), arena.constant(0));
  let some = false;
  for (const [i, operand] of c.operands.entries()) {
    if (!isFree(operand)) continue;
    const numeric = finiteDifferences(loss, bindings, `a${i}`);
    if (numeric.every((d) => Math.abs(d) < 1e-9)) continue;
    some = true;
    const leaf = paramNamed(loss, `a${i}`);
    const outputs = { d: differentiate(loss, [leaf])[0]! };
    expectClose(interpret({ arena, outputs }, bindings).d!.data, numeric, 2e-5, `d/da${i}`, 1e-3);
  }
  if (withoutGradient.has(op)) expect(some, 'has a gradient after all').toBe(false);

  // Lowering.
  const free = c.operands.flatMap((operand, i) => (isFree(operand) ? [i] : []));
  for (const varying of choices(free)) {
    const own = newArena();
    const z = importNode(own, c, (name, shape) =>
      varying.includes(Number(name.slice(1))) ? own.input(name, shape) : own.param(name, shape),
    );
    const graph = { arena: own, outputs: { z: toFloat(z) } };
    if (graph.outputs.z.lead === 'none') continue;
    const inputs = scaled(c.operands.some((o) => o?.positive) ? 'positive' : 'any', randomInputs(graph, 2));
    const weights = positiveWeights(
      c.operands.some((o) => o?.positive),
      randomWeights(graph, 1),
    );
    const expected = interpretEach(graph, inputs, 2, weights).flatMap((r) => [...r.z!]);
    const { z: actual } = await runLowered(graph, inputs, { examples: 2, weights });
    expectClose(actual!.data, expected, 1e-4, `lowered, ${varying} varying`, 1e-2);
  }
}

describe.each(Object.entries(cases))('%s', (op, configurations) => {
  it.each(configurations.map((c, k) => [k, c] as const))('configuration %i', async (_k, configuration) => {
    await checkNode({ op, ...configuration });
  });
});

describe.each(Object.entries(randomCases))('%s on random shapes and attributes', (op, arbitrary) => {
  it('agrees with ONNX Runtime, finite differences and the float64 rules', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary, (configuration) => checkNode({ op, ...configuration })),
      { numRuns: 6, seed: 20240302 },
    );
  });
});

/** Which operands vary: every choice of up to three, of more all, each alone, and all but each. */
function choices(free: readonly number[]): number[][] {
  if (free.length > 3) {
    return [[...free], ...free.map((i) => [i]), ...free.map((i) => free.filter((k) => k !== i))];
  }
  return Array.from({ length: 2 ** free.length - 1 }, (_, bits) => free.filter((_i, k) => ((bits + 1) >> k) & 1));
}

function paramNamed(loss: Value, name: string): Value {
  const seen = new Set<Value>();
  const stack = [loss];
  for (let v = stack.pop(); v; v = stack.pop()) {
    if (seen.has(v)) continue;
    seen.add(v);
    if (v.source.kind === 'param' && v.source.name === name) return v;
    if (v.source.kind === 'node') stack.push(...v.source.inputs);
  }
  throw new Error(`no ${name}`);
}

function scaled(kind: 'positive' | 'any', inputs: Record<string, Float32Array>): Record<string, Float32Array> {
  if (kind === 'any') return inputs;
  return Object.fromEntries(Object.entries(inputs).map(([k, d]) => [k, d.map((v) => Math.exp(v / 2) + 0.2)]));
}

function positiveWeights<T extends { shape: readonly number[]; data: Float32Array }>(
  positive: boolean,
  weights: Readonly<Record<string, T>>,
): Record<string, T> {
  if (!positive) return { ...weights };
  return Object.fromEntries(
    Object.entries(weights).map(([k, w]) => [k, { ...w, data: w.data.map((v) => Math.exp(v / 2) + 0.2) }]),
  );
}

describe('docs/operators.md', () => {
  it('is what scripts/make-operators.ts writes', () => {
    expect(readFileSync('docs/operators.md', 'utf8')).toBe(operatorTable());
  });
});

describe('the table of operators', () => {
  it('has a case for every operator', () => {
    const missing = Object.keys(operators).filter((op) => !Object.hasOwn(cases, op) && !notRunAlone.has(op));
    expect(missing).toEqual([]);
  });
});
