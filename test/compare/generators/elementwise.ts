// Configurations of ONNX's elementwise operators: shapes that broadcast, types, ties, poles, infinities, bounds.

import type { Attr } from '../../support/proto.ts';
import type { Configuration, Element, Operand } from '../configuration.ts';
import { elements } from '../configuration.ts';
import type { Draw, Kind } from '../draw.ts';
import type { Generator } from './generator.ts';

export const floats: readonly Element[] = ['float', 'float', 'float', 'float', 'float16', 'double'];
export const wide: readonly Element[] = ['int64', 'int32'];
export const narrow: readonly Element[] = ['int8', 'int16', 'uint8', 'uint16', 'uint32', 'uint64'];
export const anything: readonly Element[] = [...floats, 'bfloat16', ...wide, ...narrow, 'bool'];

const flat = (draw: Draw): number[] => (draw.bool(0.05) ? [draw.int(1, 3), 0, 2] : draw.shape());

interface Unary {
  readonly since?: number;
  readonly kinds?: readonly Kind[];
  readonly elements?: readonly Element[];
  readonly attrs?: (draw: Draw, opset: number) => Record<string, Attr>;
}

const unary =
  ({
    since = 7,
    kinds = ['normal', 'normal', 'small', 'special'],
    elements: types = floats,
    attrs,
  }: Unary = {}): Generator =>
  (draw) => {
    const opset = draw.opset(since);
    const x = draw.tensor(flat(draw), { kind: draw.pick(kinds), element: draw.pick(types) });
    return { opset, operands: [x], attrs: attrs?.(draw, opset) ?? {} };
  };

/** Shapes that broadcast to one: axes dropped in front or made 1. */
export function broadcasting(draw: Draw, count: number, largest = 4): number[][] {
  const full = draw.shape(0, 4, largest);
  return draw.list(count, () => {
    const part = full.map((d) => (draw.bool(0.25) ? 1 : d));
    return draw.bool(0.3) ? part.slice(draw.int(0, full.length)) : part;
  });
}

interface Binary {
  readonly since?: number;
  readonly types?: readonly Element[];
  readonly kinds?: readonly [readonly Kind[], readonly Kind[]];
}

const usual: readonly Kind[] = ['normal', 'normal', 'small', 'special'];

const binary =
  ({ since = 7, types = [...floats, ...wide, ...narrow], kinds = [usual, usual] }: Binary = {}): Generator =>
  (draw) => {
    const element = draw.pick(types);
    const operands = broadcasting(draw, 2).map((shape, i) =>
      draw.tensor(shape, { element, kind: draw.pick(kinds[i]!) }),
    );
    return { opset: draw.opset(since), operands };
  };

/** Of any number of operands; before opset 8 they did not broadcast. */
const several =
  (types: readonly Element[]): Generator =>
  (draw) => {
    const opset = draw.opset();
    const element = draw.pick(types);
    const count = draw.int(1, 4);
    const same = draw.shape();
    const shapes = opset < 8 ? draw.list(count, () => same) : broadcasting(draw, count);
    const kind = draw.pick(usual);
    return { opset, operands: shapes.map((shape) => draw.tensor(shape, { element, kind })) };
  };

const logical: Generator = (draw) => ({
  opset: draw.opset(),
  operands: broadcasting(draw, 2).map((shape) => draw.tensor(shape, { element: 'bool' })),
});

const float = (x: number): Attr => ({ float: Math.fround(x) });
const some = (draw: Draw, all: Record<string, number>) =>
  draw.attrs(Object.fromEntries(Object.entries(all).map(([name, x]) => [name, float(x)])));

/** Attributes before opset 11, operands from then on; either bound may be left out, and they may cross. */
const clip: Generator = (draw) => {
  const opset = draw.opset();
  const element = opset >= 12 ? draw.pick([...floats, ...wide, ...narrow]) : draw.pick(['float', 'double'] as const);
  const x = draw.tensor(flat(draw), { element, kind: draw.pick(usual) });
  const [low, high] = [draw.int(-2, 1), draw.int(0, 3)];
  if (opset < 11) return { opset, operands: [x], attrs: some(draw, { min: low, max: high }) };
  const bound = (v: number) =>
    draw.bool(0.75)
      ? draw.bool(0.7)
        ? draw.fixed([element.startsWith('u') ? Math.abs(v) : v], [], element)
        : draw.tensor([], { element })
      : undefined;
  return { opset, operands: [x, bound(low), bound(high)] };
};

const pow: Generator = (draw) => {
  const opset = draw.opset();
  const element = draw.pick(opset >= 12 ? [...floats, ...wide] : (['float', 'double'] as const));
  const other: Element = opset >= 12 ? draw.pick(['float', 'int64', 'int32', element]) : element;
  const [a, b] = broadcasting(draw, 2) as [number[], number[]];
  const whole = draw.bool();
  const base = draw.tensor(a, { element, kind: whole ? draw.pick(['normal', 'small']) : 'positive' });
  const exponent = draw.bool(0.5)
    ? draw.fixed([draw.pick(other.startsWith('int') ? [0, 1, 2, 3] : [-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4])], [], other)
    : draw.tensor(b, { element: other, kind: whole ? 'small' : 'normal' });
  return { opset, operands: [base, exponent] };
};

const mod: Generator = (draw) => {
  const element = draw.pick([...floats, ...wide, ...narrow]);
  const fmod = element.includes('float') || element === 'double' ? draw.int(0, 9) > 0 : draw.bool();
  const [a, b] = broadcasting(draw, 2) as [number[], number[]];
  const divisor = draw.tensor(b, { element, kind: draw.pick(['positive', 'above1'] as const) });
  const sign = element.startsWith('u') || draw.bool(0.5) ? 1 : -1;
  return {
    opset: draw.opset(10),
    operands: [draw.tensor(a, { element, kind: draw.pick(usual) }), times(divisor, sign)],
    attrs: fmod || draw.bool() ? { fmod: Number(fmod) } : {},
  };
};

const times = (x: Operand, factor: number): Operand => ({
  ...x,
  examples: [x.examples[0].map((v) => v * factor), x.examples[1].map((v) => v * factor)],
});

/** Whole numbers are divided by others than 0. */
const div: Generator = (draw) => {
  const element = draw.pick([...floats, ...wide, ...narrow]);
  const whole = element.includes('int');
  const [a, b] = broadcasting(draw, 2) as [number[], number[]];
  const divisor = draw.tensor(b, { element, kind: whole ? 'positive' : draw.pick(['normal', 'small', 'special']) });
  const sign = whole && !element.startsWith('u') && draw.bool() ? -1 : 1;
  return { opset: draw.opset(), operands: [draw.tensor(a, { element, kind: draw.pick(usual) }), times(divisor, sign)] };
};

const cast: Generator = (draw) => {
  const element = draw.pick(anything);
  const to = draw.pick(anything);
  const kind = draw.pick(['normal', 'halves', 'positive'] as const);
  const x = draw.tensor(flat(draw), { element, kind });
  // Large numbers wrap around in a smaller type.
  const scaled = draw.bool(0.2) && element !== 'bool' && !['int8', 'uint8'].includes(element) ? times(x, 100) : x;
  return { opset: draw.opset(), operands: [scaled], attrs: { to: elements[to] } };
};

const castLike: Generator = (draw) => ({
  opset: draw.opset(15),
  operands: [
    draw.tensor(draw.shape(), { element: draw.pick(anything), kind: 'halves' }),
    draw.tensor(draw.shape(0, 2), { element: draw.pick(anything) }),
  ],
});

const where: Generator = (draw) => {
  const [c, a, b] = broadcasting(draw, 3) as [number[], number[], number[]];
  const element = draw.pick(anything);
  const kind = draw.pick(usual);
  return {
    opset: draw.opset(9),
    operands: [
      draw.tensor(c, { element: 'bool' }),
      draw.tensor(a, { element, kind }),
      draw.tensor(b, { element, kind }),
    ],
  };
};

/** Ratio and mode are operands from opset 12 on; without training it is the identity, and the mask has no holes. */
const dropout: Generator = (draw) => {
  const opset = draw.opset();
  const x = draw.tensor(flat(draw), { element: draw.pick(floats) });
  const outputs = [true, draw.bool(0.4)];
  if (opset < 12) return { opset, operands: [x], attrs: draw.attrs({ ratio: float(0.3) }), outputs };
  const ratio = draw.pick([undefined, 0, 0.4]);
  const training = draw.pick([undefined, 0, 0, 1]);
  return {
    opset,
    operands: [
      x,
      ratio === undefined ? undefined : draw.fixed([Math.fround(ratio)], [], 'float'),
      training === undefined ? undefined : draw.fixed([training], [], 'bool'),
    ],
    outputs,
  };
};

const prelu: Generator = (draw) => {
  const shape = draw.shape(0, 4);
  const slope = shape.map((d) => (draw.bool(0.3) ? 1 : d)).slice(draw.int(0, shape.length));
  const opset = draw.opset();
  const element = draw.pick(opset >= 9 ? [...floats, ...wide] : (['float', 'double'] as const));
  const kind = draw.pick(usual);
  return { opset, operands: [draw.tensor(shape, { element, kind }), draw.tensor(slope, { element })] };
};

const isInf: Generator = (draw) => ({
  opset: draw.opset(10),
  operands: [draw.tensor(draw.shape(), { kind: 'special', element: draw.pick(['float', 'double', 'float16']) })],
  attrs: draw.attrs({ detect_negative: draw.int(0, 1), detect_positive: draw.int(0, 1) }),
});

const signed: readonly Element[] = [...floats, ...wide, 'int8', 'int16'];
const ordered: readonly Element[] = [...floats, ...wide, ...narrow];
const rounding: Unary = { kinds: ['normal', 'halves', 'special'] };

export const elementwise = {
  Add: binary(),
  Sub: binary(),
  Mul: binary(),
  Div: div,
  Mod: mod,
  Pow: pow,
  Max: several(ordered),
  Min: several(ordered),
  Sum: several(floats),
  Mean: several(floats),
  Neg: unary({ elements: signed }),
  Abs: unary({ elements: ordered }),
  Exp: unary(),
  Log: unary({ kinds: ['positive', 'small', 'special'] }),
  Sqrt: unary({ kinds: ['positive', 'small', 'special'] }),
  Reciprocal: unary(),
  Sin: unary({ kinds: ['normal', 'small'] }),
  Cos: unary({ kinds: ['normal', 'small'] }),
  Tan: unary({ kinds: ['unit', 'small'] }),
  Asin: unary({ kinds: ['unit', 'small'] }),
  Acos: unary({ kinds: ['unit', 'small'] }),
  Atan: unary(),
  Sinh: unary({ since: 9 }),
  Cosh: unary({ since: 9 }),
  Asinh: unary({ since: 9 }),
  Acosh: unary({ since: 9, kinds: ['above1', 'small'] }),
  Atanh: unary({ since: 9, kinds: ['unit', 'small'] }),
  Erf: unary({ since: 9 }),
  Sign: unary({ since: 9, elements: ordered }),
  Floor: unary(rounding),
  Ceil: unary(rounding),
  Round: unary({ since: 11, ...rounding }),
  Relu: unary({ elements: signed }),
  Sigmoid: unary(),
  Tanh: unary(),
  Softplus: unary(),
  Softsign: unary(),
  LeakyRelu: unary({ attrs: (draw) => some(draw, { alpha: draw.pick([0, 0.3, -0.5, 2]) }) }),
  PRelu: prelu,
  ThresholdedRelu: unary({ since: 10, attrs: (draw) => some(draw, { alpha: draw.pick([0, 0.5, 2, -1]) }) }),
  Elu: unary({ attrs: (draw) => some(draw, { alpha: draw.pick([0, 0.4, 2, -1]) }) }),
  Selu: unary({ attrs: (draw) => some(draw, { alpha: draw.pick([1.2, 0.5]), gamma: draw.pick([2, 0.7]) }) }),
  Celu: unary({ since: 12, attrs: (draw) => some(draw, { alpha: draw.pick([0.4, 2, 1]) }) }),
  Gelu: unary({ since: 20, attrs: (draw) => draw.attrs<Attr>({ approximate: draw.pick(['none', 'tanh']) }) }),
  HardSigmoid: unary({ attrs: (draw) => some(draw, { alpha: draw.pick([0.4, 1]), beta: draw.pick([0, 0.1, 1]) }) }),
  HardSwish: unary({ since: 14 }),
  Mish: unary({ since: 18 }),
  Swish: unary({ since: 24, attrs: (draw) => some(draw, { alpha: draw.pick([0.5, 1.5, -1]) }) }),
  Shrink: unary({
    since: 9,
    attrs: (draw) => some(draw, { lambd: draw.pick([0, 0.5, 1]), bias: draw.pick([0, 0.2, 1]) }),
  }),
  Clip: clip,
  Cast: cast,
  CastLike: castLike,
  Less: binary({ types: ordered }),
  Greater: binary({ types: ordered }),
  LessOrEqual: binary({ since: 12, types: ordered }),
  GreaterOrEqual: binary({ since: 12, types: ordered }),
  Equal: binary({
    types: anything,
    kinds: [
      ['small', 'special'],
      ['small', 'special'],
    ],
  }),
  And: logical,
  Or: logical,
  Xor: logical,
  Not: (draw) => ({ opset: draw.opset(), operands: [draw.tensor(flat(draw), { element: 'bool' })] }),
  IsNaN: unary({ since: 9, kinds: ['special'], elements: ['float', 'double', 'float16'] }),
  IsInf: isInf,
  Where: where,
  Identity: (draw) => ({ opset: draw.opset(), operands: [draw.tensor(flat(draw), { element: draw.pick(anything) })] }),
  Dropout: dropout,
} satisfies Record<string, (draw: Draw) => Omit<Configuration, 'op'>>;
