// What is read of one gradient beside its norm, from the batched pass against gradients in float64, element by element.

import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { syntheticDataset } from '../../src/data/index.ts';
import { openProgram } from '../../src/engine/index.ts';
import { metricName, normGraph } from '../../src/features/norms.ts';
import { interpret, nameOf, paramsOf } from '../../src/graph/index.ts';
import type { PlanChoice } from '../../src/lower/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectSqNorms } from '../support/compare.ts';
import { type SmallName, smallModel, smallSizes } from '../support/models.ts';
import { randomData } from '../support/run.ts';

describe.each(Object.keys(smallSizes) as SmallName[])('views of the gradients of a %s', (name) => {
  const model = smallModel(name);
  const n = 6;
  const seed = 3;
  const data = syntheticDataset('noise', { length: n, shape: model.info.data, seed: 1 });
  const metrics = Object.fromEntries(
    paramsOf({ arena: model.loss().arena, outputs: { loss: model.loss() } }).map((p) => [
      metricName(nameOf(p)),
      { shape: p.shape, data: randomData(metricName(nameOf(p)), sizeOf(p.shape)).map(Math.abs) },
    ]),
  );

  const cases: [number, PlanChoice][] = [
    [1, 'auto'],
    [1, 'direct'],
    [3, 'auto'],
    [3, 'gram'],
  ];
  it.each(cases)('for groups of %i by the plan %s are those of float64', async (group, plan) => {
    const views = normGraph(model.loss(), { radial: true, fisher: true });
    const weights = { ...model.weights, ...metrics };
    const program = openProgram(views.graph, { runtime: nodeRuntime(), weights, group, plan, batch: n });
    const batch = await data.gather([...Array(n).keys()]);
    const feeds = program.feeds(batch, [...Array(n).keys()], seed);
    const outputs = await program.run(feeds);
    await program.dispose();

    const loss = model.loss();
    const params = paramsOf({ arena: loss.arena, outputs: { loss } }).filter((p) => views.names.includes(nameOf(p)));
    const gradients = differentiate(loss, params);
    const graph = { arena: loss.arena, outputs: Object.fromEntries(gradients.map((g, j) => [nameOf(params[j]!), g])) };
    const each = Array.from({ length: n }, (_, i) => {
      const own = Object.entries(feeds).map(([key, { data: all }]) => {
        const stride = all.length / n;
        return [key, Array.from(all.slice(i * stride, (i + 1) * stride), Number)] as const;
      });
      const fixed = Object.entries(model.weights).map(([key, w]) => [key, w.data] as const);
      return interpret(graph, Object.fromEntries([...fixed, ...own]));
    });
    const l = views.names.length;
    for (let g = 0; g < n / group; g++) {
      const sums = views.names.map((key) =>
        each
          .slice(g * group, (g + 1) * group)
          .map((values) => values[key]!.data)
          .reduce((a, b) => a.map((v, k) => v + b[k]!)),
      );
      const row = (output: string) => outputs[output]!.data.subarray(g * l, (g + 1) * l) as Float32Array;
      const sum = (terms: Float64Array) => terms.reduce((a, b) => a + b, 0);
      expectSqNorms(
        row('sqnorm'),
        sums.map((s) => sum(s.map((v) => v * v))),
        views.names,
      );
      expectSqNorms(
        row('fisher'),
        sums.map((s, j) => sum(s.map((v, k) => (v * metrics[metricName(views.names[j]!)]!.data[k]!) ** 2))),
        views.names,
      );
      for (const [j, key] of views.names.entries()) {
        const theta = model.weights[key]!.data;
        const terms = sums[j]!.map((v, k) => v * theta[k]!);
        // Of both signs, so its error is in proportion to the size of the terms.
        const scale = Math.sqrt(sum(terms.map((v) => v * v)) * terms.length) + 1e-3;
        expect(Math.abs(row('radial')[j]! - sum(terms)) / scale, key).toBeLessThan(1e-4);
      }
    }
  });
});
