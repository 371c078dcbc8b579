// The activations of recurrent layers by name, with the numbers that some of them take.

import type { Value } from '../../graph/index.ts';
import { add, mul, relu, sigmoid, softplusInTails, tanh } from '../../ops/index.ts';
import type { NodeContext } from './context.ts';
import { elu, hardSigmoid, leakyRelu, softsign, thresholdedRelu } from './elementwise.ts';

export type Activation = (x: Value) => Value;

interface Kind {
  readonly f: (x: Value, alpha: number, beta: number) => Value;
  /**
   * What alpha and beta are where a node does not say it, NaN where readings differ; those that are absent are not
   * taken from its lists.
   */
  readonly alpha?: number;
  readonly beta?: number;
}

const kinds: Readonly<Record<string, Kind>> = {
  affine: { f: (x, a, b) => add(mul(a, x), b), alpha: NaN, beta: NaN },
  elu: { f: elu, alpha: 1 },
  hardsigmoid: { f: hardSigmoid, alpha: 0.2, beta: 0.5 },
  leakyrelu: { f: leakyRelu, alpha: 0.01 },
  relu: { f: relu },
  scaledtanh: { f: (x, a, b) => mul(a, tanh(mul(b, x))), alpha: NaN, beta: NaN },
  sigmoid: { f: sigmoid },
  softplus: { f: softplusInTails },
  softsign: { f: softsign },
  tanh: { f: tanh },
  thresholdedrelu: { f: thresholdedRelu, alpha: NaN },
};

/**
 * Those of all directions in order; the numbers of `activation_alpha` and `activation_beta` go to those that take some,
 * one after another.
 */
export function activationsOf(ctx: NodeContext, names: readonly string[]): Activation[] {
  const alphas = [...(ctx.ints('activation_alpha') ?? [])];
  const betas = [...(ctx.ints('activation_beta') ?? [])];
  return names.map((name) => {
    const { f, alpha, beta } = kinds[name.toLowerCase()] ?? ctx.refuse(`activation '${name}'`);
    const a = alpha === undefined ? 0 : (alphas.shift() ?? alpha);
    const b = beta === undefined ? 0 : (betas.shift() ?? beta);
    if (Number.isNaN(a + b))
      ctx.refuse(`activation '${name}' without its alpha${beta === undefined ? '' : ' and beta'}`);
    return (x) => f(x, a, b);
  });
}
