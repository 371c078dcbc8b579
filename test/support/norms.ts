// The norms of a loss held to float64: to finite differences, and in one batched pass to the interpreter's gradients.

import { differentiate } from '../../src/autodiff/index.ts';
import { normGraph } from '../../src/features/norms.ts';
import { interpret, paramsOf, type Value, verify } from '../../src/graph/index.ts';
import type { PlanChoice } from '../../src/lower/index.ts';
import { expectClose } from './compare.ts';
import { finiteDifferences, interpretEach, randomInputs, randomWeights, runLowered } from './run.ts';
import { tolerance } from './tolerances.ts';

/** Of one example with random weights and inputs. */
export function expectDifferenceNorms(loss: Value, label: string): void {
  const { graph, names: params } = normGraph(loss);
  verify(graph);
  const weights = randomWeights(graph);
  const bound = {
    ...Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, w.data])),
    ...randomInputs(graph, 1),
  };
  const { sqnorm } = interpret(graph, bound);
  const numeric = params.map((p) => finiteDifferences(loss, bound, p, 1e-5).reduce((s, d) => s + d * d, 0));
  expectClose(sqnorm!.data, numeric, 1e-5, label);
}

/** Of `groups` groups of `group` examples each, by one plan, and the groups' sums of losses. */
export async function expectBatchedNorms(
  loss: Value,
  { plan, group, groups }: { readonly plan: PlanChoice; readonly group: number; readonly groups: number },
  label: string,
): Promise<void> {
  const { graph } = normGraph(loss);
  const n = group * groups;
  const inputs = randomInputs(graph, n);
  const weights = randomWeights(graph);
  const actual = await runLowered(graph, inputs, { examples: n, group, weights, plan });

  const params = paramsOf(graph);
  const gradients = differentiate(loss, params);
  const named = { loss, ...Object.fromEntries(gradients.map((g, j) => [`g${j}`, g])) };
  const each = interpretEach({ arena: loss.arena, outputs: named }, inputs, n, weights);
  const norms: number[] = [];
  const nll: number[] = [];
  for (let m = 0; m < groups; m++) {
    const members = each.slice(m * group, (m + 1) * group);
    nll.push(members.reduce((s, r) => s + r.loss![0]!, 0));
    for (let j = 0; j < params.length; j++) {
      const sum = members[0]![`g${j}`]!.map((_, i) => members.reduce((s, r) => s + r[`g${j}`]![i]!, 0));
      norms.push(sum.reduce((s, x) => s + x * x, 0));
    }
  }
  expectClose(actual.nll!.data, nll, tolerance.float32);
  expectClose(actual.sqnorm!.data, norms, tolerance.sqNormWorst, label, 1e-6);
}
