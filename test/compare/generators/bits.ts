// Configurations of ONNX's operators on bits, and of the steps of quantised numbers.

import { type Element, elements } from '../configuration.ts';
import { broadcasting } from './elementwise.ts';
import type { Generator } from './generator.ts';

const signed: readonly Element[] = ['int8', 'int16', 'int32', 'int64'];
const unsigned: readonly Element[] = ['uint8', 'uint16', 'uint32', 'uint64'];

const two: Generator = (draw) => {
  const element = draw.pick([...signed, ...unsigned]);
  return {
    opset: draw.opset(18),
    operands: broadcasting(draw, 2).map((shape) => draw.tensor(shape, { element })),
  };
};

const not: Generator = (draw) => ({
  opset: draw.opset(18),
  operands: [draw.tensor(draw.shape(), { element: draw.pick([...signed, ...unsigned]) })],
});

const shift: Generator = (draw) => {
  const element = draw.pick(unsigned);
  const [a, b] = broadcasting(draw, 2) as [number[], number[]];
  const by = draw.list(
    b.reduce((x, y) => x * y, 1),
    () => draw.int(0, 7),
  );
  const known = element === 'uint64';
  return {
    opset: draw.opset(11),
    operands: [
      draw.tensor(a, { element, ...(known ? { role: 'weight' } : {}) }),
      known || draw.bool() ? draw.fixed(by, b, element) : draw.indices(b, 0, 7, { element }),
    ],
    attrs: { direction: draw.pick(['LEFT', 'RIGHT']) },
  };
};

const cast: Generator = (draw) => {
  const [from, to] = draw.pick([
    ['float', 'int32'],
    ['int32', 'float'],
    ['uint8', 'int8'],
    ['int64', 'double'],
    ['float', 'uint32'],
    ['int16', 'uint16'],
  ] as const);
  return {
    opset: draw.opset(26),
    operands: [draw.tensor(draw.shape(), { element: from, role: 'weight' })],
    attrs: { to: elements[to] },
  };
};

/** A scale for all or for each place of an axis; a zero point of the type that is wanted. */
const quantise: Generator = (draw) => {
  const opset = draw.opset(13);
  const shape = draw.shape(1, 4);
  const axis = draw.int(0, shape.length - 1);
  const each = draw.bool(0.4);
  const scaleShape = each ? [shape[axis]!] : [];
  const element = draw.pick(['uint8', 'int8', ...(opset >= 21 ? (['uint16', 'int16'] as const) : [])] as const);
  const zero = draw.bool(0.7) ? [draw.tensor(scaleShape, { element, kind: 'small', role: 'weight' })] : [];
  return {
    opset,
    operands: [
      draw.tensor(shape, { kind: draw.pick(['normal', 'halves'] as const) }),
      draw.tensor(scaleShape, { kind: 'positive', role: 'weight' }),
      ...zero,
    ],
    attrs: each ? { axis: draw.bool(0.3) ? axis - shape.length : axis } : {},
  };
};

const dequantise: Generator = (draw) => {
  const opset = draw.opset(13);
  const shape = draw.shape(1, 4);
  const axis = draw.int(0, shape.length - 1);
  const each = draw.bool(0.4);
  const scaleShape = each ? [shape[axis]!] : [];
  const element = draw.pick([
    'uint8',
    'int8',
    'int32',
    ...(opset >= 21 ? (['uint16', 'int16'] as const) : []),
  ] as const);
  const zero =
    element !== 'int32' && draw.bool(0.7) ? [draw.tensor(scaleShape, { element, kind: 'small', role: 'weight' })] : [];
  return {
    opset,
    operands: [draw.tensor(shape, { element }), draw.tensor(scaleShape, { kind: 'positive' }), ...zero],
    attrs: each ? { axis: draw.bool(0.3) ? axis - shape.length : axis } : {},
  };
};

export const bits = {
  BitShift: shift,
  BitwiseAnd: two,
  BitwiseOr: two,
  BitwiseXor: two,
  BitwiseNot: not,
  BitCast: cast,
  QuantizeLinear: quantise,
  DequantizeLinear: dequantise,
} satisfies Record<string, Generator>;
