// Configurations of ONNX's operators that sample between places, transform and take determinants, and of those that
// draw.

import { node } from '../../support/proto.ts';
import type { Draw } from '../draw.ts';
import type { Generator } from './generator.ts';

const gridSample: Generator = (draw) => {
  const opset = draw.opset(16);
  const rank = opset >= 20 && draw.bool(0.3) ? 3 : 2;
  const space = draw.list(rank, () => draw.int(1, 4));
  const out = draw.list(rank, () => draw.int(1, 3));
  const modes = opset >= 20 ? ['linear', 'nearest', 'cubic'] : ['bilinear', 'nearest', 'bicubic'];
  return {
    opset,
    operands: [draw.tensor([1, draw.int(1, 3), ...space]), draw.tensor([1, ...out, rank])],
    attrs: draw.attrs({
      mode: draw.pick(rank === 3 ? modes.slice(0, 2) : modes),
      padding_mode: draw.pick(['zeros', 'border', 'reflection']),
      align_corners: draw.int(0, 1),
    }),
  };
};

const affineGrid: Generator = (draw) => {
  const k = draw.int(2, 3);
  const size = [1, draw.int(1, 3), ...draw.list(k, () => draw.int(1, 4))];
  return {
    opset: draw.opset(20),
    operands: [draw.tensor([1, k, k + 1]), draw.fixed(size)],
    attrs: draw.attrs({ align_corners: draw.int(0, 1) }),
  };
};

const dft: Generator = (draw) => {
  const opset = draw.opset(17, 19); // ONNX Runtime's kernel of opset 20 crashes
  const parts = draw.int(1, 2);
  const shape = [1, ...draw.list(draw.int(1, 2), () => draw.int(2, 6)), parts];
  const axis = draw.int(1, shape.length - 2);
  const kind = draw.pick(['plain', 'inverse', 'once']);
  // ONNX Runtime reads beyond its memory where the length is less than the signal's.
  const length = draw.bool() ? draw.fixed([shape[axis]! + draw.int(0, 3)], []) : undefined;
  const attrs = kind === 'inverse' ? { inverse: 1 } : kind === 'once' && parts === 1 ? { onesided: 1 } : {};
  return { opset, operands: [draw.tensor(shape), length], attrs: { ...attrs, axis } };
};

const determinant: Generator = (draw) => {
  const n = draw.int(1, 5);
  return { opset: draw.opset(11), operands: [draw.tensor([...draw.shape(0, 2, 2), n, n])] };
};

/** What is drawn is random: times zero, and added to what is known. */
const drawing =
  (op: string, since: number, like: boolean): Generator =>
  (draw: Draw) => {
    const x = draw.tensor(draw.shape(1, 3), { kind: 'unit' });
    const made = like ? node(op, ['p'], ['drawn']) : node(op, [], ['drawn'], { shape: x.shape });
    const nodes = [
      node('Sigmoid', ['a0'], ['p']),
      made,
      node('Mul', ['drawn', 'a1'], ['nothing']),
      node('Add', ['a0', 'nothing'], ['y0']),
    ];
    const zero = { shape: [], element: 'float', role: 'weight', examples: [[0], [0]] } as const;
    return { opset: draw.opset(since, 21), operands: [x, zero], nodes };
  };

/** Classes that are drawn, times zero. */
const multinomial: Generator = (draw) => {
  const count = draw.int(1, 3);
  const x = draw.tensor([draw.int(1, 2), draw.int(1, 4)]);
  const nodes = [
    node('Multinomial', ['a0'], ['classes'], { sample_size: count }),
    node('Cast', ['classes'], ['drawn'], { to: 1 }),
    node('ReduceSum', ['drawn', 'a2'], ['sum']),
    node('Mul', ['sum', 'a1'], ['nothing']),
    node('Add', ['a0', 'nothing'], ['y0']),
  ];
  const zero = { shape: [], element: 'float', role: 'weight', examples: [[0], [0]] } as const;
  return { opset: draw.opset(13, 21), operands: [x, zero, draw.fixed([1])], nodes };
};

export const sampling = {
  GridSample: gridSample,
  AffineGrid: affineGrid,
  DFT: dft,
  Det: determinant,
  RandomNormal: drawing('RandomNormal', 7, false),
  RandomNormalLike: drawing('RandomNormalLike', 7, true),
  RandomUniform: drawing('RandomUniform', 7, false),
  RandomUniformLike: drawing('RandomUniformLike', 7, true),
  Bernoulli: drawing('Bernoulli', 15, true),
  Multinomial: multinomial,
} satisfies Readonly<Record<string, Generator>>;
