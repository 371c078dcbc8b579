// Configurations of ONNX's recurrent layers and of attention.

import type { Attr } from '../../support/proto.ts';
import type { Operand } from '../configuration.ts';
import type { Draw } from '../draw.ts';
import type { Generator } from './generator.ts';

const ACTIVATIONS = [
  'Relu', 'Tanh', 'Sigmoid', 'Affine', 'LeakyRelu', 'ThresholdedRelu', 'ScaledTanh', 'HardSigmoid', 'Elu', 'Softsign', 'Softplus',
]; // biome-ignore format: one list

/** With how many of alpha and beta each activation comes. */
const parameters: Readonly<Record<string, readonly [alpha: boolean, beta: boolean]>> = {
  Affine: [true, true],
  LeakyRelu: [true, false],
  ThresholdedRelu: [true, false],
  ScaledTanh: [true, true],
  HardSigmoid: [true, true],
  Elu: [true, false],
};

/** A layer with `gates` gates, `activations` functions for each direction, and as many states as it starts from. */
const recurrent =
  (
    gates: number,
    activations: number,
    states: number,
    peepholes: boolean,
    more: (draw: Draw) => Record<string, Attr>,
  ): Generator =>
  (draw) => {
    const opset = draw.opset();
    const [T, N, I, H] = [draw.int(1, 4), draw.int(1, 3), draw.int(1, 3), draw.int(1, 3)];
    const direction = draw.pick(['forward', 'forward', 'reverse', 'bidirectional']);
    const D = direction === 'bidirectional' ? 2 : 1;
    const layout = opset >= 14 && draw.bool(0.15) ? 1 : 0;
    const start = layout ? [N, D, H] : [D, N, H];
    const optional = (p: number, make: () => Operand) => (draw.bool(p) ? make() : undefined);
    const lengths = optional(0.25, () =>
      draw.fixed(
        draw.list(N, () => (draw.bool(0.5) ? T : draw.int(1, T))),
        [N],
        'int32',
      ),
    );
    const attrs: Record<string, Attr> = { hidden_size: H, ...more(draw) };
    if (direction !== 'forward' || draw.bool(0.3)) attrs.direction = direction;
    if (layout || (opset >= 14 && draw.bool(0.1))) attrs.layout = layout;
    if (draw.bool(0.1)) attrs.clip = { float: 0.5 };
    if (draw.bool(0.4)) {
      const names = draw.list(D * activations, () =>
        draw.bool(0.6) ? draw.pick(['Relu', 'Tanh', 'Sigmoid']) : draw.pick(ACTIVATIONS),
      );
      attrs.activations = { strings: names };
      const alphas = names.filter((n) => parameters[n]?.[0]);
      const betas = names.filter((n) => parameters[n]?.[1]);
      if (alphas.length > 0 && draw.bool(0.7))
        attrs.activation_alpha = { floats: alphas.map(() => Math.fround(draw.pick([0.3, 0.5, 1.2]))) };
      if (betas.length > 0 && attrs.activation_alpha && draw.bool(0.8))
        attrs.activation_beta = { floats: betas.map(() => Math.fround(draw.pick([0.2, 0.5, 0.9]))) };
    }
    const operands: (Operand | undefined)[] = [
      draw.tensor(layout ? [N, T, I] : [T, N, I]),
      draw.tensor([D, gates * H, I]),
      draw.tensor([D, gates * H, H]),
      optional(0.6, () => draw.tensor([D, 2 * gates * H])),
      lengths,
      optional(0.5, () => draw.tensor(start)),
    ];
    if (states > 1) operands.push(optional(0.5, () => draw.tensor(start)));
    if (peepholes) operands.push(optional(0.4, () => draw.tensor([D, 3 * H])));
    while (operands.at(-1) === undefined) operands.pop();
    const outputs = draw.list(1 + states, () => draw.bool(0.6));
    if (!outputs.includes(true)) outputs[0] = true;
    return { opset, operands, attrs, outputs };
  };

const attention: Generator = (draw) => {
  const opset = draw.opset(23);
  const [n, kv, width, vWidth] = [draw.int(1, 2), draw.int(1, 2), draw.int(1, 3), draw.int(1, 3)];
  const heads = kv * draw.int(1, 2);
  const [queries, keys] = [draw.int(1, 4), draw.int(1, 4)];
  const flat = draw.bool();
  const shape = (h: number, length: number, w: number) => (flat ? [n, length, h * w] : [n, h, length, w]);
  const past = draw.bool(0.3) ? draw.int(1, 2) : 0;
  const all = keys + past;
  const maskShape = draw.pick([
    [queries, all],
    [1, all],
    [1, 1, queries, all],
    [n, heads, queries, all],
    [n, 1, queries, all],
  ]);
  const mask = draw.pick([undefined, draw.tensor(maskShape), draw.tensor(maskShape, { element: 'bool' })]);
  const softcap = draw.bool(0.25) ? { softcap: { float: 2 } } : {};
  const operands: (Operand | undefined)[] = [
    draw.tensor(shape(heads, queries, width)),
    draw.tensor(shape(kv, keys, width)),
    draw.tensor(shape(kv, keys, vWidth)),
    mask,
  ];
  if (past > 0) operands.push(draw.tensor([n, kv, past, width]), draw.tensor([n, kv, past, vWidth]));
  if (opset >= 24 && past === 0 && draw.bool(0.3))
    operands.push(undefined, undefined, draw.fixed(draw.list(n, () => draw.int(1, keys))));
  while (operands.at(-1) === undefined) operands.pop();
  return {
    opset,
    operands,
    attrs: {
      ...(flat ? { q_num_heads: heads, kv_num_heads: kv } : {}),
      ...softcap,
      ...draw.attrs<Attr>({ is_causal: draw.int(0, 1) }, 0.5),
      ...draw.attrs<Attr>({ scale: { float: 0.5 } }, 0.4),
      ...draw.attrs<Attr>({ softmax_precision: 1 }, 0.1),
      ...draw.attrs<Attr>({ qk_matmul_output_mode: draw.int(0, 3) }, 0.6),
    },
    // ONNX Runtime makes keys and values with the past where it is asked for them.
    outputs: past > 0 ? [true, true, true, draw.bool(0.4)] : draw.pick([[true], [true], [true, false, false, true]]),
  };
};

const rotary: Generator = (draw) => {
  const [n, length, heads] = [draw.int(1, 2), draw.int(1, 4), draw.int(1, 3)];
  const width = 2 * draw.int(1, 3);
  const turned = draw.bool(0.3) ? 2 * draw.int(1, width / 2) : 0;
  const flat = draw.bool();
  const half = (turned || width) / 2;
  const positions = draw.bool() ? draw.indices([n, length], 0, 5) : undefined;
  const table = positions ? [6, half] : [n, length, half];
  return {
    opset: draw.opset(23),
    operands: [
      draw.tensor(flat ? [n, length, heads * width] : [n, heads, length, width]),
      draw.tensor(table),
      draw.tensor(table),
      ...(positions ? [positions] : []),
    ],
    attrs: {
      ...draw.attrs({ interleaved: draw.int(0, 1) }),
      ...(turned ? { rotary_embedding_dim: turned } : {}),
      ...(flat || draw.bool(0.2) ? { num_heads: heads } : {}),
    },
  };
};

export const recurrentAndAttention = {
  LSTM: recurrent(4, 3, 2, true, (draw) => draw.attrs({ input_forget: draw.int(0, 1) }, 0.15)),
  GRU: recurrent(3, 2, 1, false, (draw) => draw.attrs({ linear_before_reset: draw.int(0, 1) }, 0.6)),
  RNN: recurrent(1, 1, 1, false, () => ({})),
  Attention: attention,
  RotaryEmbedding: rotary,
} satisfies Record<string, Generator>;
