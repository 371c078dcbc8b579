// Likelihoods of bits and classes far from 0, in every way that exporters write them: losses and norms in float32
// against closed forms in float64, where a sigmoid or softmax in float32 is 0 or 1.

import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/index.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';
import { runLowered } from '../support/run.ts';

/** From far below zero to far above. */
const LOGITS = [-95, -60, -25, -19, -3, 0.5, 4, 17, 26, 61];

/**
 * z = x · w; the nodes make `each`, [n, 10], from z and the bits y; the loss is its sum. d loss / dw is x · d loss / dz
 * for x = 1.
 */
function model(nodes: ReturnType<typeof node>[]): Uint8Array {
  const numbers = { one: 1, two: 2, minus: -100, tiny: 1e-8, least: 1e-30, half: 0.5 };
  return modelBytes(
    {
      input: [value('x', FLOAT, ['n', 1]), value('y', FLOAT, ['n', 10])],
      node: [
        node('MatMul', ['x', 'w'], ['z']),
        node('Sub', ['one', 'y'], ['not_y']),
        ...nodes,
        node('ReduceSum', ['each', 'axes'], ['loss'], { keepdims: 0 }),
      ],
      initializer: [
        tensor('w', [1, 10], Float32Array.from(LOGITS)),
        tensor('axes', [1], BigInt64Array.of(1n)),
        tensor('shape', [2], BigInt64Array.of(-1n, 5n)),
        tensor('back', [2], BigInt64Array.of(-1n, 10n)),
        ...Object.entries(numbers).map(([name, x]) => tensor(name, [], Float32Array.of(x))),
      ],
      output: [value('loss', FLOAT, ['n'])],
    },
    17,
  );
}

const sigma = (z: number) => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));
const softplus = (z: number) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));

/** −y · first − (1 − y) · second, for what `nodes` make of each. */
const bernoulli = (nodes: ReturnType<typeof node>[], first: string, second: string) =>
  model([
    node('Sigmoid', ['z'], ['p']),
    ...nodes,
    node('Mul', ['y', first], ['a']),
    node('Mul', ['not_y', second], ['b']),
    node('Add', ['a', 'b'], ['ab']),
    node('Neg', ['ab'], ['each']),
  ]);

const logs = [node('Sub', ['one', 'p'], ['q']), node('Log', ['p'], ['log_p']), node('Log', ['q'], ['log_q'])];

type Of = (z: number, y: number) => readonly [loss: number, gradient: number];

const exact: Of = (z, y) => [softplus(z) - y * z, sigma(z) - y];

/** PyTorch's binary_cross_entropy in exact arithmetic. */
const cut: Of = (z, y) => {
  const variance = sigma(z) * sigma(-z);
  const [logP, logQ] = [Math.max(-softplus(-z), -100), Math.max(-softplus(z), -100)];
  return [-y * logP - (1 - y) * logQ, ((sigma(z) - y) * variance) / Math.max(variance, 1e-12)];
};

const withTiny: Of = (z, y) => {
  const [p, q] = [sigma(z), sigma(-z)];
  const tiny = Math.fround(1e-8);
  return [-y * Math.log(p + tiny) - (1 - y) * Math.log(q + tiny), p * q * (-y / (p + tiny) + (1 - y) / (q + tiny))];
};

const forms: Record<string, [Uint8Array, Of]> = {
  'log σ and log (1 − σ)': [bernoulli(logs, 'log_p', 'log_q'), exact],
  'log σ and log (−σ + 1), of rearranged numbers': [
    bernoulli(
      [
        node('Reshape', ['p', 'shape'], ['moved']),
        node('Neg', ['moved'], ['minus_p']),
        node('Add', ['minus_p', 'one'], ['q']),
        node('Log', ['moved'], ['log_moved']),
        node('Reshape', ['log_moved', 'back'], ['log_p']),
        node('Log', ['q'], ['log_rest']),
        node('Reshape', ['log_rest', 'back'], ['log_q']),
      ],
      'log_p',
      'log_q',
    ),
    exact,
  ],
  'softplus(z) − y z': [
    model([node('Softplus', ['z'], ['s']), node('Mul', ['y', 'z'], ['m']), node('Sub', ['s', 'm'], ['each'])]),
    exact,
  ],
  '(1 − y) z − log σ(z)': [
    model([
      node('Sigmoid', ['z'], ['p']),
      node('Log', ['p'], ['log_p']),
      node('Mul', ['not_y', 'z'], ['m']),
      node('Sub', ['m', 'log_p'], ['each']),
    ]),
    exact,
  ],
  'binary_cross_entropy, cut off by Max': [
    bernoulli(
      [...logs, node('Max', ['log_p', 'minus'], ['cut_p']), node('Max', ['minus', 'log_q'], ['cut_q'])],
      'cut_p',
      'cut_q',
    ),
    cut,
  ],
  'binary_cross_entropy, cut off by Clip': [
    bernoulli(
      [...logs, node('Clip', ['log_p', 'minus'], ['cut_p']), node('Clip', ['log_q', 'minus'], ['cut_q'])],
      'cut_p',
      'cut_q',
    ),
    cut,
  ],
  'log (σ + tiny) and log (1 − σ + tiny)': [
    bernoulli(
      [
        node('Sub', ['one', 'p'], ['q']),
        node('Add', ['p', 'tiny'], ['p1']),
        node('Add', ['q', 'tiny'], ['q1']),
        node('Log', ['p1'], ['log_p']),
        node('Log', ['q1'], ['log_q']),
      ],
      'log_p',
      'log_q',
    ),
    withTiny,
  ],
  'log of σ or 1 − σ, as the bit has it': [
    model([
      node('Sigmoid', ['z'], ['p']),
      node('Sub', ['one', 'p'], ['q']),
      node('Greater', ['y', 'half'], ['set']),
      node('Where', ['set', 'p', 'q'], ['likelihood']),
      node('Log', ['likelihood'], ['log']),
      node('Neg', ['log'], ['each']),
    ]),
    exact,
  ],
};

const cutLow: Of = (z, y) => {
  const least = Math.log(Math.fround(1e-30));
  const [logP, logQ] = [-softplus(-z), -softplus(z)];
  const part = (l: number, d: number) => (l > least ? d : 0);
  return [
    -y * Math.max(logP, least) - (1 - y) * Math.max(logQ, least),
    -y * part(logP, sigma(-z)) + (1 - y) * part(logQ, sigma(z)),
  ];
};

/** log p and log q of p and q = 1 − p as `nodes` make them of z. */
const ofProbabilities = (nodes: ReturnType<typeof node>[]) =>
  bernoulli([...nodes, node('Log', ['prob'], ['log_p']), node('Log', ['rest'], ['log_q'])], 'log_p', 'log_q');

Object.assign(forms, {
  'log (1 / (1 + e⁻ᶻ))': [
    ofProbabilities([
      node('Neg', ['z'], ['minus_z']),
      node('Exp', ['minus_z'], ['e']),
      node('Add', ['one', 'e'], ['below']),
      node('Div', ['one', 'below'], ['prob']),
      node('Sub', ['one', 'prob'], ['rest']),
    ]),
    exact,
  ],
  'log (eᶻ / (1 + eᶻ)), with a reciprocal': [
    ofProbabilities([
      node('Exp', ['z'], ['e']),
      node('Add', ['e', 'one'], ['below']),
      node('Div', ['e', 'below'], ['prob']),
      node('Reciprocal', ['below'], ['rest']),
    ]),
    exact,
  ],
  'log (½ (1 ± tanh (z / 2)))': [
    ofProbabilities([
      node('Mul', ['half', 'z'], ['angle']),
      node('Tanh', ['angle'], ['t']),
      node('Add', ['one', 't'], ['above']),
      node('Mul', ['half', 'above'], ['prob']),
      node('Sub', ['one', 'prob'], ['rest']),
    ]),
    exact,
  ],
  'log of pᵞ (1 − p)¹⁻ᵞ': [
    model([
      node('Sigmoid', ['z'], ['p']),
      node('Sub', ['one', 'p'], ['q']),
      node('Pow', ['p', 'y'], ['a']),
      node('Pow', ['q', 'not_y'], ['b']),
      node('Mul', ['a', 'b'], ['likelihood']),
      node('Log', ['likelihood'], ['log']),
      node('Neg', ['log'], ['each']),
    ]),
    exact,
  ],
  'log of y p + (1 − y) (1 − p)': [
    model([
      node('Sigmoid', ['z'], ['p']),
      node('Sub', ['one', 'p'], ['q']),
      node('Mul', ['y', 'p'], ['a']),
      node('Mul', ['not_y', 'q'], ['b']),
      node('Add', ['a', 'b'], ['likelihood']),
      node('Log', ['likelihood'], ['log']),
      node('Neg', ['log'], ['each']),
    ]),
    exact,
  ],
  'log of probabilities joined and repeated': [
    ofProbabilities([
      node('Sub', ['one', 'p'], ['q']),
      node('Concat', ['p', 'q'], ['both'], { axis: 1 }),
      node('Split', ['both'], ['prob', 'rest'], { axis: 1 }),
    ]),
    exact,
  ],
  'log of the larger of p and a small number': [
    ofProbabilities([
      node('Sub', ['one', 'p'], ['q']),
      node('Max', ['p', 'least'], ['prob']),
      node('Max', ['least', 'q'], ['rest']),
    ]),
    cutLow,
  ],
  'log of p cut off by Clip': [
    ofProbabilities([
      node('Sub', ['one', 'p'], ['q']),
      node('Clip', ['p', 'least', 'one'], ['prob']),
      node('Clip', ['q', 'least'], ['rest']),
    ]),
    cutLow,
  ],
  'log (1 + eᶻ) − y z': [
    model([
      node('Exp', ['z'], ['e']),
      node('Add', ['one', 'e'], ['sum']),
      node('Log', ['sum'], ['s']),
      node('Mul', ['y', 'z'], ['m']),
      node('Sub', ['s', 'm'], ['each']),
    ]),
    exact,
  ],
} satisfies typeof forms);

/**
 * Each logit with both bits; in the third example every bit is what the logit says, so that all gradients are small.
 */
const BITS = [LOGITS.map(() => 0), LOGITS.map(() => 1), LOGITS.map((z) => Number(z > 0))];

async function measured(bytes: Uint8Array) {
  const { loss, weights } = importModel(decode(bytes, 'm'), 'm', { params: /^w$/u });
  const { graph } = normGraph(loss);
  const inputs = { x: Float32Array.of(1, 1, 1), y: Float32Array.from(BITS.flat()) };
  const { sqnorm, nll } = await runLowered(graph, inputs, { examples: 3, weights });
  return { sqNorms: [...sqnorm!.data], nll: [...nll!.data] };
}

describe.each(Object.entries(forms))('%s', (_name, [bytes, of]) => {
  it('has the loss and the norm of exact arithmetic', async () => {
    const { sqNorms, nll } = await measured(bytes);
    for (const [i, bits] of BITS.entries()) {
      const each = bits.map((y, j) => of(LOGITS[j]!, y));
      const loss = each.reduce((sum, [l]) => sum + l, 0);
      const sqNorm = each.reduce((sum, [, g]) => sum + g * g, 0);
      expect(Math.abs(nll[i]! - loss)).toBeLessThan(1e-4 * Math.max(1, loss));
      expect(Math.abs(sqNorms[i]! - sqNorm)).toBeLessThan(1e-4 * sqNorm);
    }
  });
});
