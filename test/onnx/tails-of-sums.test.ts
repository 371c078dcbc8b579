// Likelihoods of classes, mixtures and bins far from 0, in the ways that exporters write them: losses and norms in
// float32 against closed forms in float64, where float32 rounds a softmax, a density or a difference of distribution
// functions to 0, 1 or infinity.

import erf from '@stdlib/math-base-special-erf';
import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/index.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { FLOAT, INT64, modelBytes, node, tensor, value } from '../support/proto.ts';
import { runLowered } from '../support/run.ts';

type Nodes = ReturnType<typeof node>[];

/** One example: by how much the weights are multiplied, and its class. */
const EXAMPLES = [
  [1, 0],
  [1, 4],
  [-3, 1],
  [30, 2],
  [-60, 0],
  [90, 3],
  [200, 1],
] as const;
const WEIGHTS = [1, -0.4, 0.7, 0.2, -1.1];
const n = EXAMPLES.length;

/** z = x · w, [n, 5]; the nodes make `each`, [n], of z and the class y, [n, 1], of `hot`, [n, 5], and numbers. */
function model(nodes: Nodes): Uint8Array {
  const numbers = { zero: 0, one: 1, two: 2, half: 0.5, tenth: 0.1, least: 1e-35, tiny: 1e-10, root: Math.SQRT1_2 };
  return modelBytes(
    {
      input: [value('x', FLOAT, ['n', 1]), value('class', FLOAT, ['n', 1])],
      node: [
        ...Object.entries(numbers).map(([name, x]) => node('Constant', [], [name], { value_float: { float: x } })),
        node('MatMul', ['x', 'w'], ['z']),
        node('Cast', ['class'], ['y'], { to: INT64 }),
        node('Squeeze', ['y', 'axis'], ['labels']),
        node('OneHot', ['labels', 'classes', 'off_on'], ['hot']),
        ...nodes,
        node('ReduceSum', ['each', 'axis'], ['loss'], { keepdims: 0 }),
      ],
      initializer: [
        tensor('w', [1, 5], Float32Array.from(WEIGHTS)),
        tensor('off_on', [2], Float32Array.of(0, 1)),
        tensor('centres', [1, 5], Float32Array.from(CENTRES)),
        tensor('shares', [1, 5], Float32Array.from(SHARES)),
        tensor('classes', [1], BigInt64Array.of(5n)),
        ...Object.entries({ axis: [1], column: [-1, 5, 1], row: [-1, 1, 5], flat: [-1, 1], list: [-1] }).map(
          ([name, v]) => tensor(name, [v.length], BigInt64Array.from(v, BigInt)),
        ),
      ],
      output: [value('loss', FLOAT, ['n'])],
    },
    17,
  );
}

const CENTRES = [-2, -1, 0.5, 2, 4];
const SHARES = [0.1, 0.2, 0.4, 0.2, 0.1];

/** The loss of logits and a class, and its gradient in the logits. */
type Of = (z: readonly number[], y: number) => readonly [loss: number, gradient: readonly number[]];

const logSumExp = (v: readonly number[]) => {
  const most = Math.max(...v);
  return most + Math.log(v.reduce((sum, x) => sum + Math.exp(x - most), 0));
};
const softmax = (v: readonly number[]) => v.map((x) => Math.exp(x - logSumExp(v)));

const crossEntropy: Of = (z, y) => [logSumExp(z) - z[y]!, softmax(z).map((p, k) => p - Number(k === y))];

/** −log (p_y + tiny). */
const withTiny: Of = (z, y) => {
  const [loss, gradient] = crossEntropy(z, y);
  const tiny = Math.fround(1e-10);
  const p = Math.exp(-loss);
  return [-Math.log(p + tiny), gradient.map((g) => (g * p) / (p + tiny))];
};

/** −log max(p_y, least). */
const cutLow: Of = (z, y) => {
  const [loss, gradient] = crossEntropy(z, y);
  const most = -Math.log(Math.fround(1e-35));
  return loss < most ? [loss, gradient] : [most, gradient.map(() => 0)];
};

/** −log Σ share · e^(−(z / 10 − centre)²): of every component at once. */
const mixture: Of = (z) => {
  const logs = z.map((x, k) => Math.log(Math.fround(SHARES[k]!)) - (Math.fround(0.1) * x - CENTRES[k]!) ** 2);
  const part = softmax(logs);
  const slope = z.map((x, k) => 2 * Math.fround(0.1) * (Math.fround(0.1) * x - CENTRES[k]!));
  return [-logSumExp(logs), part.map((p, k) => p * slope[k]!)];
};

const sigma = (x: number) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** log erfc(x), far above 0 by its continued fraction. */
function logErfc(x: number): number {
  if (x < 2) return Math.log(1 - erf(x));
  let f = x;
  for (let k = 60; k > 0; k--) f = x + k / 2 / f;
  return -x * x - Math.log(f * Math.sqrt(Math.PI));
}

/** −Σ log (Φ(z + ½) − Φ(z − ½)) for numbers z / 10, by the nearer tail. */
const normalBins: Of = (z) => {
  const each = z.map((x) => {
    const a = Math.abs(Math.fround(0.1) * x);
    const [near, far] = [(a - 0.5) * Math.SQRT1_2, (a + 0.5) * Math.SQRT1_2];
    const l = logErfc(near) + Math.log1p(-Math.exp(logErfc(far) - logErfc(near))) - Math.LN2;
    const density = (u: number) => Math.exp(-u * u - l) / Math.sqrt(2 * Math.PI);
    return [-l, Math.sign(x) * Math.fround(0.1) * (density(near) - density(far))] as const;
  });
  return [each.reduce((sum, [l]) => sum + l, 0), each.map(([, g]) => g)];
};

/** −Σ log (σ(z + ½) − σ(z − ½)). */
const bins: Of = (z) => [
  z.reduce((sum, x) => sum + softplus(-x - 0.5) + softplus(x - 0.5) - Math.log(-Math.expm1(-1)), 0),
  z.map((x) => sigma(x + 0.5) - sigma(0.5 - x)),
];

const softmaxes = node('Softmax', ['z'], ['p'], { axis: 1 });
const loss = [node('Log', ['picked'], ['log']), node('Neg', ['log'], ['each'])];

const forms: Record<string, readonly [Uint8Array, Of]> = {
  'log of a softmax that is gathered': [
    model([softmaxes, node('GatherElements', ['p', 'y'], ['picked'], { axis: 1 }), ...loss]),
    crossEntropy,
  ],
  'log of rows of softmaxes, gathered': [
    model([
      softmaxes,
      node('Reshape', ['p', 'list'], ['flat_p']),
      node('Gather', ['flat_p', 'y'], ['picked']),
      ...loss,
    ]),
    crossEntropy,
  ],
  'log Σ one-hot · softmax': [
    model([softmaxes, node('Mul', ['p', 'hot'], ['m']), node('ReduceSum', ['m', 'axis'], ['picked']), ...loss]),
    crossEntropy,
  ],
  'log of a product of one-hot rows with softmaxes': [
    model([
      softmaxes,
      node('Reshape', ['p', 'column'], ['columns']),
      node('Reshape', ['hot', 'row'], ['rows']),
      node('MatMul', ['rows', 'columns'], ['products']),
      node('Reshape', ['products', 'flat'], ['picked']),
      ...loss,
    ]),
    crossEntropy,
  ],
  'log of a softmax with the other classes masked': [
    model([
      softmaxes,
      node('Greater', ['hot', 'half'], ['mine']),
      node('Where', ['mine', 'p', 'zero'], ['kept']),
      node('ReduceSum', ['kept', 'axis'], ['picked']),
      ...loss,
    ]),
    crossEntropy,
  ],
  'Σ one-hot · log softmax, by a logarithm of its own': [
    model([
      softmaxes,
      node('Log', ['p'], ['logs']),
      node('Mul', ['hot', 'logs'], ['m']),
      node('Neg', ['m'], ['minus']),
      node('ReduceSum', ['minus', 'axis'], ['each']),
    ]),
    crossEntropy,
  ],
  'log of eᶻ / Σ eᶻ': [
    model([
      node('Exp', ['z'], ['e']),
      node('ReduceSum', ['e', 'axis'], ['sum']),
      node('Div', ['e', 'sum'], ['p']),
      node('GatherElements', ['p', 'y'], ['picked'], { axis: 1 }),
      ...loss,
    ]),
    crossEntropy,
  ],
  'log Σ eᶻ − z': [
    model([
      node('Exp', ['z'], ['e']),
      node('ReduceSum', ['e', 'axis'], ['sum']),
      node('Log', ['sum'], ['log']),
      node('GatherElements', ['z', 'y'], ['picked'], { axis: 1 }),
      node('Sub', ['log', 'picked'], ['each']),
    ]),
    crossEntropy,
  ],
  'log of a softmax with a small number added': [
    model([
      softmaxes,
      node('GatherElements', ['p', 'y'], ['one_p'], { axis: 1 }),
      node('Add', ['one_p', 'tiny'], ['picked']),
      ...loss,
    ]),
    withTiny,
  ],
  'log of the larger of a softmax and a small number, gathered': [
    model([
      softmaxes,
      node('Max', ['p', 'least'], ['cut']),
      node('GatherElements', ['cut', 'y'], ['picked'], { axis: 1 }),
      ...loss,
    ]),
    cutLow,
  ],
  'log of a gathered softmax, cut off by Clip': [
    model([
      softmaxes,
      node('GatherElements', ['p', 'y'], ['one_p'], { axis: 1 }),
      node('Clip', ['one_p', 'least', 'one'], ['picked']),
      ...loss,
    ]),
    cutLow,
  ],
  'log Σ shares · densities': [
    model([
      node('Mul', ['tenth', 'z'], ['near']),
      node('Sub', ['near', 'centres'], ['d']),
      node('Mul', ['d', 'd'], ['squares']),
      node('Neg', ['squares'], ['exponents']),
      node('Exp', ['exponents'], ['densities']),
      node('Mul', ['shares', 'densities'], ['parts']),
      node('ReduceSum', ['parts', 'axis'], ['picked']),
      ...loss,
    ]),
    mixture,
  ],
  'log (shares × densities), as a product of matrices': [
    model([
      node('Mul', ['tenth', 'z'], ['near']),
      node('Sub', ['near', 'centres'], ['d']),
      node('Pow', ['d', 'two'], ['squares']),
      node('Neg', ['squares'], ['exponents']),
      node('Exp', ['exponents'], ['densities']),
      node('Transpose', ['shares'], ['column_of_shares'], { perm: [1, 0] }),
      node('MatMul', ['densities', 'column_of_shares'], ['picked']),
      ...loss,
    ]),
    mixture,
  ],
  'log (σ(z + ½) − σ(z − ½))': [
    model([
      node('Add', ['z', 'half'], ['high']),
      node('Sub', ['z', 'half'], ['low']),
      node('Sigmoid', ['high'], ['above']),
      node('Sigmoid', ['low'], ['below']),
      node('Sub', ['above', 'below'], ['p']),
      node('Log', ['p'], ['log']),
      node('Neg', ['log'], ['each']),
    ]),
    bins,
  ],
  'log (½ (1 + tanh a) − ½ (1 + tanh b)) of halves': [
    model([
      node('Add', ['z', 'half'], ['high']),
      node('Sub', ['z', 'half'], ['low']),
      ...['high', 'low'].flatMap((key) => [
        node('Mul', [key, 'half'], [`${key}.a`]),
        node('Tanh', [`${key}.a`], [`${key}.t`]),
        node('Add', ['one', `${key}.t`], [`${key}.s`]),
        node('Mul', ['half', `${key}.s`], [`${key}.p`]),
      ]),
      node('Sub', ['high.p', 'low.p'], ['p']),
      node('Log', ['p'], ['log']),
      node('Neg', ['log'], ['each']),
    ]),
    bins,
  ],
  'log (½ (1 + erf a) − ½ (1 + erf b))': [
    model([
      node('Mul', ['tenth', 'z'], ['near']),
      node('Add', ['near', 'half'], ['high']),
      node('Sub', ['near', 'half'], ['low']),
      ...['high', 'low'].flatMap((key) => [
        node('Mul', [key, 'root'], [`${key}.a`]),
        node('Erf', [`${key}.a`], [`${key}.e`]),
        node('Add', [`${key}.e`, 'one'], [`${key}.s`]),
        node('Mul', ['half', `${key}.s`], [`${key}.p`]),
      ]),
      node('Sub', ['high.p', 'low.p'], ['p']),
      node('Log', ['p'], ['log']),
      node('Neg', ['log'], ['each']),
    ]),
    normalBins,
  ],
};

async function measured(bytes: Uint8Array) {
  const { loss, weights } = importModel(decode(bytes, 'm'), 'm', { params: /^w$/u });
  const { graph } = normGraph(loss);
  const inputs = {
    x: Float32Array.from(EXAMPLES, ([x]) => x),
    class: Float32Array.from(EXAMPLES, ([, y]) => y),
  };
  const { sqnorm, nll } = await runLowered(graph, inputs, { examples: n, weights });
  return { sqNorms: [...sqnorm!.data], nll: [...nll!.data] };
}

describe.each(Object.entries(forms))('%s', (_name, [bytes, of]) => {
  it('has the loss and the norm of exact arithmetic', async () => {
    const { sqNorms, nll } = await measured(bytes);
    for (const [i, [x, y]] of EXAMPLES.entries()) {
      const [expected, gradient] = of(
        WEIGHTS.map((w) => Math.fround(x * Math.fround(w))),
        y,
      );
      const sqNorm = gradient.reduce((sum, g) => sum + (x * g) ** 2, 0);
      expect(Math.abs(nll[i]! - expected), `loss ${i}: ${nll[i]}, expected ${expected}`).toBeLessThan(
        1e-4 * Math.max(1, Math.abs(expected)),
      );
      // What is left of 1 − p in float32 is all that a gradient near 0 can be.
      const allowed = 1e-3 * sqNorm + (x * 3e-7) ** 2;
      expect(Math.abs(sqNorms[i]! - sqNorm), `norm ${i}: ${sqNorms[i]}, expected ${sqNorm}`).toBeLessThan(allowed);
    }
  });
});
