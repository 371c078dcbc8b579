// Configurations of ONNX's reductions, normalisations and softmaxes.

import type { Attr } from '../../support/proto.ts';
import type { Element } from '../configuration.ts';
import type { Draw, Kind } from '../draw.ts';
import { floats, narrow, wide } from './elementwise.ts';
import type { Generator } from './generator.ts';
import { someAxes } from './shape.ts';

interface Reduction {
  readonly types?: readonly Element[];
  readonly kinds?: readonly Kind[];
  /** From which opset on the axes are an operand. */
  readonly operand?: number;
  /** Whether it has a value over nothing. */
  readonly empty?: boolean;
}

const reduction =
  ({
    types = [...floats, ...wide],
    kinds = ['normal', 'small'],
    operand = 18,
    empty = true,
  }: Reduction = {}): Generator =>
  (draw) => {
    const opset = draw.opset();
    const shape = draw.shape(0, 4).map((d) => (empty && draw.bool(0.03) ? 0 : d));
    const axes = someAxes(draw, shape.length, 0.5, opset >= 11);
    const x = draw.tensor(shape, { element: draw.pick(types), kind: draw.pick(kinds) });
    const keep = draw.attrs({ keepdims: draw.int(0, 1) });
    const none = axes.length === 0 && draw.bool(0.6);
    if (opset < operand) return { opset, operands: [x], attrs: { ...keep, ...(axes.length === 0 ? {} : { axes }) } };
    const noop = draw.attrs({ noop_with_empty_axes: draw.int(0, 1) }, 0.4);
    return { opset, operands: none ? [x] : [x, draw.fixed(axes)], attrs: { ...keep, ...noop } };
  };

/** Images of 0 to 3 spatial axes. */
export const image = (draw: Draw, channels = draw.int(1, 4), spatial = draw.int(0, 3)): number[] => [
  draw.int(1, 2),
  channels,
  ...draw.list(spatial, () => draw.int(1, 4)),
];

const epsilon = (draw: Draw) => draw.attrs<Attr>({ epsilon: { float: Math.fround(draw.pick([1e-5, 1e-3, 0.1])) } });

const batchNorm: Generator = (draw) => {
  const opset = draw.opset();
  const x = image(draw);
  const [c, element] = [x[1]!, draw.pick(['float', 'float', 'double', 'float16'] as const)];
  const per = (kind: Kind = 'normal') => draw.tensor([c], { kind, element, role: 'weight' });
  const attrs: Record<string, Attr> = { ...epsilon(draw), ...draw.attrs<Attr>({ momentum: { float: 0.5 } }, 0.2) };
  if (opset < 9 && draw.bool(0.3)) attrs.spatial = draw.int(0, 1);
  if (opset >= 14 && draw.bool(0.2)) attrs.training_mode = draw.int(0, 1);
  return { opset, operands: [draw.tensor(x, { element }), per(), per(), per(), per('positive')], attrs };
};

const instanceNorm: Generator = (draw) => {
  const x = image(draw, draw.int(1, 4), draw.int(1, 3));
  return {
    opset: draw.opset(),
    operands: [draw.tensor(x), draw.tensor([x[1]!]), draw.tensor([x[1]!])],
    attrs: epsilon(draw),
  };
};

/** Scale and bias are per group before opset 21, per channel from then on. */
const groupNorm: Generator = (draw) => {
  const opset = draw.opset(18);
  const groups = draw.int(1, 3);
  const x = image(draw, groups * draw.int(1, 3), draw.int(0, 2));
  const size = opset < 21 ? groups : x[1]!;
  return {
    opset,
    operands: [draw.tensor(x), draw.tensor([size]), draw.tensor([size])],
    attrs: { num_groups: groups, ...epsilon(draw), ...(opset >= 21 ? draw.attrs({ stash_type: 1 }, 0.2) : {}) },
  };
};

const layerNorm: Generator = (draw) => {
  const x = draw.shape(1, 4);
  const axis = draw.axis(x.length);
  const rest = x.slice(axis);
  const element = draw.pick(['float', 'float', 'double', 'float16'] as const);
  const scale = draw.bool(0.8) ? rest : rest.map((d) => (draw.bool() ? 1 : d));
  return {
    opset: draw.opset(17),
    operands: [
      draw.tensor(x, { element }),
      draw.tensor(scale, { element }),
      ...(draw.bool(0.6) ? [draw.tensor(draw.bool(0.8) ? rest : [1], { element })] : []),
    ],
    attrs: { ...(axis === -1 && draw.bool() ? {} : { axis }), ...epsilon(draw), ...draw.attrs({ stash_type: 1 }, 0.2) },
    outputs: [true, draw.bool(0.3), draw.bool(0.3)],
  };
};

const rmsNorm: Generator = (draw) => {
  const x = draw.shape(1, 4);
  const axis = draw.axis(x.length);
  return {
    opset: draw.opset(23),
    operands: [draw.tensor(x), draw.tensor(x.slice(axis))],
    attrs: { ...(axis === -1 && draw.bool() ? {} : { axis }), ...epsilon(draw) },
  };
};

const lrn: Generator = (draw) => {
  const float = (x: number): Attr => ({ float: Math.fround(x) });
  return {
    opset: draw.opset(),
    operands: [draw.tensor(image(draw, draw.int(1, 6), 2))],
    attrs: { size: draw.int(1, 5), ...draw.attrs({ alpha: float(0.3), beta: float(0.6), bias: float(2) }) },
  };
};

const lpNorm: Generator = (draw) => {
  const x = draw.shape(1, 4);
  const kind = draw.pick(['normal', 'small'] as const);
  return {
    opset: draw.opset(),
    operands: [draw.tensor(x, { element: draw.pick(['float', 'float', 'double']), kind })],
    attrs: draw.attrs({ axis: draw.axis(x.length), p: draw.int(1, 2) }),
  };
};

const mvn: Generator = (draw) => {
  const x = draw.bool(0.7) ? image(draw, draw.int(1, 3), 2) : draw.shape(4, 4);
  const axes = draw.shuffled(draw.some([0, 1, 2, 3], 0.6));
  // Of a single number ONNX Runtime's variance may come out below 0.
  const attrs = axes.length > 0 ? draw.attrs({ axes }) : {};
  if ((attrs.axes ?? [0, 2, 3]).every((a) => x[a] === 1)) x[(attrs.axes ?? [3])[0]!] = 3;
  return { opset: draw.opset(9), operands: [draw.tensor(x)], attrs };
};

const softmax: Generator = (draw) => {
  const opset = draw.opset();
  const x = draw.shape(1, 4);
  const axis = opset >= 11 ? draw.axis(x.length) : draw.int(0, x.length - 1);
  const kind = draw.pick(['normal', 'small'] as const);
  const element = draw.pick(floats);
  // The default is 1 before opset 13, which a vector has not.
  const attrs = opset < 13 && x.length === 1 ? { axis } : draw.attrs({ axis }, 0.7);
  return { opset, operands: [draw.tensor(x, { element, kind })], attrs };
};

export const reduce = {
  ReduceSum: reduction({ operand: 13 }),
  ReduceMean: reduction({ empty: false }),
  ReduceMax: reduction({
    types: [...floats, ...wide, ...narrow, 'bool'],
    kinds: ['normal', 'small', 'infinite'],
    empty: false,
  }),
  ReduceMin: reduction({
    types: [...floats, ...wide, ...narrow, 'bool'],
    kinds: ['normal', 'small', 'infinite'],
    empty: false,
  }),
  ReduceProd: reduction(),
  ReduceSumSquare: reduction(),
  ReduceL1: reduction(),
  ReduceL2: reduction(),
  ReduceLogSum: reduction({ kinds: ['positive'], types: floats, empty: false }),
  ReduceLogSumExp: reduction({ kinds: ['normal', 'small', 'infinite'], types: floats, empty: false }),
  Softmax: softmax,
  LogSoftmax: softmax,
  Hardmax: softmax,
  BatchNormalization: batchNorm,
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  LayerNormalization: layerNorm,
  RMSNormalization: rmsNorm,
  LRN: lrn,
  LpNormalization: lpNorm,
  MeanVarianceNormalization: mvn,
} satisfies Record<string, Generator>;
