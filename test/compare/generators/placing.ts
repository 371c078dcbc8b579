// Configurations of ONNX's operators that pick and put elements by conditions, lengths, windows and places, and of
// running products.

import type { Configuration, Element } from '../configuration.ts';
import type { Draw } from '../draw.ts';
import type { Generator } from './generator.ts';

const some: readonly Element[] = ['float', 'float', 'float', 'double', 'int64', 'int32', 'bool'];
const at = (draw: Draw, axis: number, rank: number) => (draw.bool(0.3) ? axis - rank : axis);

/** A condition that is known, as long as the axis or shorter. */
const compress: Generator = (draw) => {
  const shape = draw.shape(1, 3);
  const axis = draw.bool(0.7) ? draw.int(0, shape.length - 1) : undefined;
  const length = axis === undefined ? shape.reduce((a, b) => a * b, 1) : shape[axis]!;
  const condition = draw.list(draw.int(1, length), () => draw.int(0, 1));
  const opset = draw.opset(9);
  return {
    opset,
    operands: [draw.tensor(shape, { element: draw.pick(some) }), draw.fixed(condition, [condition.length], 'bool')],
    attrs: axis === undefined ? {} : { axis: opset >= 11 ? at(draw, axis, shape.length) : axis },
  };
};

const unique: Generator = (draw) => {
  const shape = draw.shape(1, 3, 3);
  const numbers = draw.list(
    shape.reduce((a, b) => a * b, 1),
    () => draw.int(-1, 1),
  );
  return {
    opset: draw.opset(11),
    operands: [draw.fixed(numbers, shape, draw.pick(['float', 'int64', 'double'] as const))],
    attrs: {
      ...draw.attrs({ sorted: draw.int(0, 1) }),
      ...(draw.bool(0.6) ? { axis: at(draw, draw.int(0, shape.length - 1), shape.length) } : {}),
    },
    outputs: [true, true, true, true],
  };
};

const reverseSequence: Generator = (draw) => {
  const [b, T] = [draw.int(1, 3), draw.int(1, 4)];
  const batchFirst = draw.bool();
  const shape = [...(batchFirst ? [b, T] : [T, b]), ...draw.shape(0, 2, 3)];
  const axes = { batch_axis: batchFirst ? 0 : 1, time_axis: batchFirst ? 1 : 0 };
  return {
    opset: draw.opset(10),
    operands: [draw.tensor(shape, { element: draw.pick(some) }), draw.indices([b], 1, T)],
    attrs: batchFirst ? axes : draw.attrs(axes),
  };
};

const tensorScatter: Generator = (draw) => {
  const [b, T] = [draw.int(1, 3), draw.int(1, 5)];
  const t = draw.int(1, T);
  const rest = draw.shape(1, 2, 3);
  const axis = draw.int(1, rest.length);
  const shape = (length: number) => [b, ...rest.slice(0, axis - 1), length, ...rest.slice(axis - 1)];
  const circular = draw.bool();
  const element = draw.pick(some);
  return {
    opset: draw.opset(24),
    operands: [
      draw.tensor(shape(T), { element }),
      draw.tensor(shape(t), { element }),
      ...(draw.bool(0.7) ? [draw.indices([b], 0, circular ? T - 1 : T - t)] : []),
    ],
    attrs: {
      axis: at(draw, axis, rest.length + 2),
      ...(circular ? { mode: 'circular' } : draw.attrs({ mode: 'linear' })),
    },
  };
};

/** Of what a pooling without overlap has found. */
const maxUnpool: Generator = (draw) => {
  const [n, c] = [draw.int(1, 2), draw.int(1, 3)];
  const small = draw.list(draw.int(1, 2), () => draw.int(1, 3));
  const kernel = small.map(() => draw.int(1, 3));
  const large = small.map((d, s) => d * kernel[s]!);
  const size = large.reduce((a, b) => a * b, 1);
  const shape = [n, c, ...small];
  const places = () => {
    const all: number[] = [];
    for (let k = 0; k < n * c; k++) {
      const count = small.reduce((a, b) => a * b, 1);
      for (let i = 0; i < count; i++) {
        let [rest, place, stride] = [i, 0, 1];
        for (let s = small.length - 1; s >= 0; s--) {
          place += ((rest % small[s]!) * kernel[s]! + draw.int(0, kernel[s]! - 1)) * stride;
          rest = Math.floor(rest / small[s]!);
          stride *= large[s]!;
        }
        all.push(k * size + place);
      }
    }
    return all;
  };
  const indices = draw.bool()
    ? draw.fixed(places(), shape)
    : ({ shape, element: 'int64', role: 'input', examples: [places(), places()] } as const);
  return {
    opset: draw.opset(9),
    operands: [draw.tensor(shape), indices, ...(draw.bool(0.3) ? [draw.fixed([n, c, ...large])] : [])],
    attrs: { kernel_shape: kernel, strides: kernel },
  };
};

const col2Im: Generator = (draw) => {
  const [n, c, r] = [draw.int(1, 2), draw.int(1, 2), draw.pick([1, 2, 2, 3])];
  const kernel = draw.list(r, () => draw.int(1, 3));
  const strides = kernel.map(() => draw.int(1, 3));
  const dilations = kernel.map(() => draw.int(1, 2));
  const pads = draw.list(2 * r, () => draw.int(0, 1));
  const space = kernel.map((k, s) => dilations[s]! * (k - 1) + 1 + draw.int(0, 3));
  const moves = space.map(
    (d, s) => Math.floor((d + pads[s]! + pads[s + r]! - (dilations[s]! * (kernel[s]! - 1) + 1)) / strides[s]!) + 1,
  );
  const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1);
  return {
    opset: draw.opset(18),
    operands: [draw.tensor([n, c * product(kernel), product(moves)]), draw.fixed(space), draw.fixed(kernel)],
    attrs: { strides, dilations, pads },
  };
};

const centred: Generator = (draw) => {
  const shape = draw.shape(1, 4, 5);
  const axes = draw.bool(0.5) ? [...shape.keys()].filter(() => draw.bool(0.6)) : undefined;
  const picked = axes && axes.length > 0 ? axes : undefined;
  const sizes = (picked ?? [...shape.keys()]).map(() => draw.int(1, 6));
  return {
    opset: draw.opset(18),
    operands: [draw.tensor(shape, { element: draw.pick(['float', 'int64', 'bool'] as const) }), draw.fixed(sizes)],
    attrs: picked ? { axes: picked.map((a) => at(draw, a, shape.length)) } : {},
  };
};

const cumProd: Generator = (draw) => {
  const shape = draw.shape(1, 3);
  const axis = draw.int(0, shape.length - 1);
  const element = draw.pick(['float', 'float', 'double', 'int64', 'int32'] as const);
  return {
    opset: draw.opset(26),
    operands: [
      draw.tensor(shape, { element, kind: draw.pick(['normal', 'small'] as const) }),
      draw.fixed([at(draw, axis, shape.length)], []),
    ],
    attrs: draw.attrs({ exclusive: draw.int(0, 1), reverse: draw.int(0, 1) }),
  };
};

export const placing = {
  Compress: compress,
  Unique: unique,
  ReverseSequence: reverseSequence,
  TensorScatter: tensorScatter,
  MaxUnpool: maxUnpool,
  Col2Im: col2Im,
  CenterCropPad: centred,
  CumProd: cumProd,
} satisfies Record<string, (draw: Draw) => Omit<Configuration, 'op'>>;
