// Configurations of ONNX's operators on shapes and on where elements are: axes from either end, attributes that became
// operands, empty and scalar operands.

import { sizeOf } from '../../../src/tensor/shape.ts';
import type { Attr } from '../../support/proto.ts';
import { type Element, elements, initializer } from '../configuration.ts';
import type { Draw } from '../draw.ts';
import { anything, broadcasting, wide } from './elementwise.ts';
import type { Generator } from './generator.ts';

/** Some axes of a value, each once, in any order, from either end. */
export const someAxes = (draw: Draw, rank: number, p = 0.5, negative = true): number[] =>
  draw.shuffled(draw.some([...new Array(rank).keys()], p)).map((a) => (negative && draw.bool() ? a - rank : a));

/** Those axes for which `needed` holds, and some others, in any order, from either end. */
export const axesWith = (draw: Draw, needed: readonly boolean[]): number[] =>
  draw
    .shuffled([...needed.keys()].filter((a) => needed[a] || draw.bool(0.3)))
    .map((a) => (draw.bool() ? a - needed.length : a));

const shaped = (draw: Draw, least = 0, most = 4): number[] =>
  draw.bool(0.06) ? draw.shape(least, most).map((d) => (draw.bool(0.4) ? 0 : d)) : draw.shape(least, most);

const anyType = (draw: Draw): Element => (draw.bool(0.5) ? 'float' : draw.pick(anything));

const reshape: Generator = (draw) => {
  const opset = draw.opset();
  const x = shaped(draw, 0, 4);
  const size = sizeOf(x);
  let to: number[] = [];
  for (let rest = size; rest > 1; ) {
    const divisors = [...new Array(rest).keys()].map((k) => k + 1).filter((k) => rest % k === 0);
    const d = draw.pick(divisors);
    to.push(d);
    rest /= d;
    if (to.length > 5) {
      to.push(rest);
      break;
    }
  }
  if (draw.bool(0.3)) to.push(1);
  const allow = opset >= 14 && draw.bool(0.3);
  if (size === 0) to = draw.bool() && allow ? draw.shuffled(x) : [...x].map((d) => (d === 0 ? 0 : d));
  else {
    if (to.length > 0 && draw.bool(0.4)) to[draw.int(0, to.length - 1)] = -1;
    const same = to.findIndex((d, a) => d !== -1 && d === x[a]);
    if (!allow && same >= 0 && draw.bool(0.5)) to[same] = 0;
  }
  return {
    opset,
    operands: [draw.tensor(x, { element: anyType(draw) }), draw.fixed(to)],
    attrs: allow || (opset >= 14 && draw.bool(0.2)) ? { allowzero: Number(allow) } : {},
  };
};

const squeeze: Generator = (draw) => {
  const opset = draw.opset();
  const shape = shaped(draw).flatMap((d) => (draw.bool(0.4) ? [1, d] : [d]));
  const ones = [...shape.keys()].filter((a) => shape[a] === 1);
  const axes = draw.shuffled(draw.some(ones, 0.6)).map((a) => (opset >= 11 && draw.bool() ? a - shape.length : a));
  const x = draw.tensor(shape, { element: anyType(draw) });
  const all = axes.length === 0 && draw.bool(0.7);
  if (opset < 13) return { opset, operands: [x], attrs: all ? {} : { axes } };
  return { opset, operands: all ? [x] : [x, draw.fixed(axes)] };
};

const unsqueeze: Generator = (draw) => {
  const opset = draw.opset();
  const shape = shaped(draw, 0, 3);
  const count = draw.int(1, 2);
  const rank = shape.length + count;
  const axes = draw
    .shuffled([...new Array(rank).keys()])
    .slice(0, count)
    .map((a) => (opset >= 11 && draw.bool() ? a - rank : a));
  const x = draw.tensor(shape, { element: anyType(draw) });
  if (opset < 13) return { opset, operands: [x], attrs: { axes } };
  return { opset, operands: [x, draw.fixed(axes)] };
};

const slice: Generator = (draw) => {
  const opset = draw.opset();
  const shape = shaped(draw, 1, 4);
  const axes = someAxes(draw, shape.length, 0.6, opset >= 10);
  if (axes.length === 0) axes.push(0);
  const steps = axes.map(() => (opset >= 10 ? draw.pick([1, 1, 1, 2, 3, -1, -2]) : 1));
  const edges = [-99, -5, -3, -2, -1, 0, 1, 2, 3, 5, 99, 2 ** 31 - 1, -(2 ** 31)];
  const [starts, ends] = [axes.map(() => draw.pick(edges)), axes.map(() => draw.pick(edges))];
  const x = draw.tensor(shape, { element: anyType(draw) });
  const first = axes.every((a, k) => a === k) && draw.bool();
  if (opset < 10) return { opset, operands: [x], attrs: { starts, ends, ...(first ? {} : { axes }) } };
  const index: Element = draw.pick(wide);
  const list = (data: number[]) => draw.fixed(data, [data.length], index);
  const stepped = steps.some((s) => s !== 1) || draw.bool(0.3);
  return {
    opset,
    operands: [x, list(starts), list(ends), first ? undefined : list(axes), ...(stepped ? [list(steps)] : [])],
  };
};

const split: Generator = (draw) => {
  const opset = draw.opset();
  const count = draw.int(1, 3);
  const shape = draw.shape(1, 4);
  const axis = opset >= 11 ? draw.axis(shape.length) : draw.int(0, shape.length - 1);
  const at = axis < 0 ? axis + shape.length : axis;
  const outputs = new Array<boolean>(count).fill(true);
  const attrs: Record<string, Attr> = axis === 0 && draw.bool() ? {} : { axis };
  const element = anyType(draw);
  const sizes = draw.list(count, () => draw.int(0, 3));
  if (draw.bool(0.5)) {
    const x = draw.tensor(
      shape.with(
        at,
        sizes.reduce((a, b) => a + b, 0),
      ),
      { element },
    );
    if (opset < 13) return { opset, operands: [x], attrs: { ...attrs, split: sizes }, outputs };
    return { opset, operands: [x, draw.fixed(sizes)], attrs, outputs };
  }
  const uneven = opset >= 18 && draw.bool();
  const length = uneven ? draw.int(count, 3 * count) : count * draw.int(1, 3);
  const x = draw.tensor(shape.with(at, length), { element });
  return { opset, operands: [x], attrs: opset >= 18 ? { ...attrs, num_outputs: count } : attrs, outputs };
};

const concat: Generator = (draw) => {
  const opset = draw.opset();
  const shape = draw.shape(1, 4);
  const axis = opset >= 11 ? draw.axis(shape.length) : draw.int(0, shape.length - 1);
  const at = axis < 0 ? axis + shape.length : axis;
  const element = anyType(draw);
  const parts = draw.list(draw.int(1, 4), () => shape.with(at, draw.int(draw.bool(0.1) ? 0 : 1, 3)));
  return { opset, operands: parts.map((s) => draw.tensor(s, { element })), attrs: { axis } };
};

const expand: Generator = (draw) => {
  const [from, to] = broadcasting(draw, 2) as [number[], number[]];
  return { opset: draw.opset(8), operands: [draw.tensor(from, { element: anyType(draw) }), draw.fixed(to)] };
};

const tile: Generator = (draw) => {
  const shape = shaped(draw, 1, 4);
  const repeats = shape.map(() => draw.int(draw.bool(0.05) ? 0 : 1, 3));
  return { opset: draw.opset(), operands: [draw.tensor(shape, { element: anyType(draw) }), draw.fixed(repeats)] };
};

const pad: Generator = (draw) => {
  const opset = draw.opset();
  const shape = draw.shape(1, 4);
  const modes =
    opset >= 19 ? ['constant', 'constant', 'reflect', 'edge', 'wrap'] : ['constant', 'constant', 'reflect', 'edge'];
  const mode = draw.pick(modes);
  const element = opset >= 11 ? anyType(draw) : draw.pick(['float', 'double'] as const);
  const axes = opset >= 18 && draw.bool(0.5) ? someAxes(draw, shape.length, 0.6) : undefined;
  const padded = axes?.map((a) => (a < 0 ? a + shape.length : a)) ?? [...shape.keys()];
  // Reflection reaches no further than there is something to reflect.
  const one = (a: number) => {
    const most = mode === 'reflect' ? shape[a]! - 1 : mode === 'wrap' ? shape[a]! : 3;
    return draw.bool(0.12) ? -draw.int(0, Math.max(0, Math.floor((shape[a]! - 1) / 2))) : draw.int(0, most);
  };
  const pads = [...padded, ...padded].map(one);
  const x = draw.tensor(shape, { element });
  const attrs: Record<string, Attr> = mode === 'constant' && draw.bool() ? {} : { mode };
  if (opset < 11) {
    return { opset, operands: [x], attrs: { ...attrs, pads, ...draw.attrs({ value: { float: 1.5 } }) } };
  }
  const value = draw.bool() ? draw.fixed([element === 'bool' ? 1 : 2], draw.bool(0.8) ? [] : [1], element) : undefined;
  return {
    opset,
    operands: [x, draw.fixed(pads), ...(axes ? [value, draw.fixed(axes)] : value ? [value] : [])],
    attrs,
  };
};

const gather: Generator = (draw) => {
  const opset = draw.opset();
  const shape = draw.shape(1, 4);
  const axis = draw.axis(shape.length);
  const d = shape.at(axis)!;
  const low = opset >= 11 ? -d : 0;
  const indices = draw.indices(draw.shape(0, 2, 3), low, d - 1, { element: draw.pick(wide) });
  const attrs = axis === 0 && draw.bool() ? {} : { axis };
  return { opset, operands: [draw.tensor(shape, { element: anyType(draw) }), indices], attrs };
};

const gatherElements: Generator = (draw) => {
  const shape = draw.shape(1, 4);
  const axis = draw.axis(shape.length);
  const d = shape.at(axis)!;
  const at = axis < 0 ? axis + shape.length : axis;
  const picked = shape.map((e, a) => (a === at ? draw.int(1, 4) : draw.int(1, e)));
  const kind = draw.pick(['normal', 'special'] as const);
  return {
    opset: draw.opset(11),
    operands: [
      draw.tensor(shape, { element: anyType(draw), kind }),
      draw.indices(picked, -d, d - 1, { element: draw.pick(wide) }),
    ],
    attrs: axis === 0 && draw.bool() ? {} : { axis },
  };
};

const eyeLike: Generator = (draw) => ({
  opset: draw.opset(9),
  operands: [
    draw.tensor([draw.int(1, 4), draw.int(1, 4)], { element: draw.pick(['float', 'double', 'int64', 'int32']) }),
  ],
  attrs: draw.attrs<Attr>({
    k: draw.int(-4, 4),
    dtype: elements[draw.pick(['float', 'double', 'int64', 'int32', 'bool'] as const)],
  }),
});

const nonZero: Generator = (draw) => ({
  opset: draw.opset(9),
  operands: [
    draw.tensor(draw.shape(0, 3), {
      kind: 'small',
      element: draw.pick(['float', 'int64', 'int32', 'bool', 'uint8']),
      role: draw.bool(0.9) ? 'weight' : 'input',
    }),
  ],
});

const trilu: Generator = (draw) => ({
  opset: draw.opset(14),
  operands: [
    draw.tensor([...draw.shape(0, 2), draw.int(1, 4), draw.int(1, 4)], {
      element: anyType(draw),
      kind: draw.pick(['normal', 'special']),
    }),
    draw.bool(0.6) ? draw.fixed([draw.int(-4, 4)], []) : undefined,
  ],
  attrs: draw.attrs({ upper: draw.int(0, 1) }),
});

const depthToSpace: Generator = (draw) => {
  const opset = draw.opset();
  const b = draw.int(1, 3);
  const shape = [draw.int(1, 2), b * b * draw.int(1, 2), draw.int(1, 3), draw.int(1, 3)];
  return {
    opset,
    operands: [draw.tensor(shape, { element: draw.pick(['float', 'float', 'double', 'uint8', 'float16']) })],
    attrs: { blocksize: b, ...(opset >= 11 ? draw.attrs({ mode: draw.pick(['DCR', 'CRD']) }) : {}) },
  };
};

const spaceToDepth: Generator = (draw) => {
  const b = draw.int(1, 3);
  const shape = [draw.int(1, 2), draw.int(1, 3), b * draw.int(1, 2), b * draw.int(1, 3)];
  return {
    opset: draw.opset(),
    operands: [draw.tensor(shape, { element: draw.pick(['float', 'double', 'float16']) })],
    attrs: { blocksize: b },
  };
};

const cumSum: Generator = (draw) => {
  const shape = draw.shape(1, 4);
  return {
    opset: draw.opset(11),
    operands: [
      draw.tensor(shape, { element: draw.pick(['float', 'float', 'double', 'int64', 'int32']) }),
      draw.fixed([draw.axis(shape.length)], draw.bool(0.8) ? [] : [1], draw.pick(wide)),
    ],
    attrs: draw.attrs({ exclusive: draw.int(0, 1), reverse: draw.int(0, 1) }),
  };
};

/** Indices, values and depth, as far as ONNX Runtime has kernels. */
const ONE_HOT_TYPES: readonly (readonly [Element, Element, Element])[] = [
  ['int64', 'int64', 'int64'],
  ['float', 'int64', 'int64'],
  ['float', 'float', 'float'],
  ['int64', 'int32', 'float'],
  ['int64', 'float', 'float'],
  ['int64', 'float', 'int64'],
  ['int64', 'float', 'int32'],
  ['int32', 'float', 'float'],
  ['int32', 'float', 'int32'],
];

const oneHot: Generator = (draw) => {
  const depth = draw.int(1, 5);
  const shape = draw.shape(1, 3, 3);
  const [type, values, counted] = draw.pick(ONE_HOT_TYPES);
  const past = draw.bool(0.2) ? 2 : 0; // what is outside the classes is all off
  return {
    opset: draw.opset(9),
    operands: [
      draw.indices(shape, -depth - past, depth - 1 + past, { element: type }),
      draw.fixed([depth], draw.bool(0.7) ? [] : [1], counted),
      draw.bool(0.7) ? draw.fixed([-1, 3], [2], values) : draw.tensor([2], { element: values }),
    ],
    attrs: draw.attrs({ axis: draw.int(-shape.length - 1, shape.length) }),
  };
};

const range: Generator = (draw) => {
  const element = draw.pick(['float', 'double', 'int64', 'int32', 'int16'] as const);
  const numbers = element.includes('int')
    ? [draw.int(-5, 5), draw.int(-5, 9), draw.pick([1, 2, 3, -1, -2])]
    : [draw.int(-5, 5) / 2, draw.int(-5, 9), draw.pick([1, 0.5, 0.25, -0.75])];
  return { opset: draw.opset(11), operands: numbers.map((v) => draw.fixed([v], [], element)) };
};

const constantOfShape: Generator = (draw) => {
  const element = draw.pick(anything);
  const value = { tensor: initializer('', [1], element, [element === 'bool' ? 1 : 3]) };
  const shape = draw.bool(0.1) ? [] : draw.shape(1, 3);
  return { opset: draw.opset(9), operands: [draw.fixed(shape)], attrs: draw.attrs<Attr>({ value }, 0.7) };
};

const constant: Generator = (draw) => {
  const opset = draw.opset();
  const shape = draw.shape(0, 3);
  const element = draw.pick(anything);
  const numbers = draw.list(sizeOf(shape), () => (element === 'bool' ? draw.int(0, 1) : draw.int(0, 9)));
  const value = (): Record<string, Attr> => ({ value: { tensor: initializer('', shape, element, numbers) } });
  if (opset < 12) return { opset, operands: [], attrs: value() };
  const attrs = draw.pick<() => Record<string, Attr>>([
    value,
    () => ({ value_float: { float: 1.5 } }),
    () => ({ value_int: 7 }),
    () => ({ value_floats: { floats: [1.5, -2] } }),
    () => ({ value_ints: [3, -4] }),
  ])();
  return { opset, operands: [], attrs };
};

export const shape = {
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  Shape: (draw) => {
    const opset = draw.opset();
    const x = draw.tensor(shaped(draw), { element: anyType(draw) });
    return {
      opset,
      operands: [x],
      attrs: opset >= 15 ? draw.attrs({ start: draw.int(-5, 5), end: draw.int(-5, 5) }) : {},
    };
  },
  Size: (draw) => ({ opset: draw.opset(), operands: [draw.tensor(shaped(draw), { element: anyType(draw) })] }),
  Reshape: reshape,
  Flatten: (draw) => {
    const opset = draw.opset();
    const s = shaped(draw, 1, 4);
    const axis = opset >= 11 ? draw.int(-s.length, s.length) : draw.int(0, s.length);
    return {
      opset,
      operands: [draw.tensor(s, { element: opset >= 9 ? anyType(draw) : 'float' })],
      attrs: draw.attrs({ axis }, 0.8),
    };
  },
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: (draw) => {
    const s = shaped(draw, 0, 4);
    const perm = draw.shuffled([...s.keys()]);
    return {
      opset: draw.opset(),
      operands: [draw.tensor(s, { element: anyType(draw) })],
      attrs: draw.attrs({ perm }, 0.8),
    };
  },
  Concat: concat,
  Split: split,
  Slice: slice,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  Gather: gather,
  GatherElements: gatherElements,
  EyeLike: eyeLike,
  NonZero: nonZero,
  Trilu: trilu,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  CumSum: cumSum,
  OneHot: oneHot,
} satisfies Record<string, Generator>;
