// Configurations of ONNX's products, convolutions, poolings and interpolation: strides, dilations, padding of every
// kind, groups, all ways in which Resize finds coordinates.

import type { Attr } from '../../support/proto.ts';
import type { Element } from '../configuration.ts';
import type { Draw } from '../draw.ts';
import { broadcasting, wide } from './elementwise.ts';
import type { Generator } from './generator.ts';
import { image } from './reduce.ts';
import { axesWith } from './shape.ts';

const real: readonly Element[] = ['float', 'float', 'float', 'double', 'float16'];
const floatAttr = (x: number): Attr => ({ float: Math.fround(x) });

const matMul: Generator = (draw) => {
  const opset = draw.opset();
  const element = draw.pick([...real, ...(opset >= 9 ? wide : [])]);
  const [m, k, n] = [draw.int(1, 4), draw.int(1, 4), draw.int(1, 4)];
  const [a, b] = broadcasting(draw, 2, 3) as [number[], number[]];
  const vectors = draw.pick(['none', 'none', 'left', 'right', 'both']);
  const left = vectors === 'left' || vectors === 'both' ? [k] : [...a.slice(-2), m, k];
  const right = vectors === 'right' || vectors === 'both' ? [k] : [...b.slice(-2), k, n];
  return { opset, operands: [draw.tensor(left, { element }), draw.tensor(right, { element })] };
};

const gemm: Generator = (draw) => {
  const opset = draw.opset();
  const element = draw.pick(real);
  const [m, k, n] = [draw.int(1, 4), draw.int(1, 4), draw.int(1, 4)];
  const [transA, transB] = [draw.int(0, 1), draw.int(0, 1)];
  const c = draw.pick([[m, n], [n], [1, n], [m, 1], [1, 1], [], [1]]);
  const bias = opset < 11 || draw.bool(0.8) ? [draw.tensor(c, { element })] : [];
  return {
    opset,
    operands: [
      draw.tensor(transA ? [k, m] : [m, k], { element }),
      draw.tensor(transB ? [n, k] : [k, n], { element }),
      ...bias,
    ],
    attrs: {
      ...(transA ? { transA } : {}),
      ...(transB ? { transB } : {}),
      ...draw.attrs({ alpha: floatAttr(draw.pick([0, 0.5, 2])), beta: floatAttr(draw.pick([0, 0.5, 2])) }),
    },
  };
};

const AUTO = ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'];

/** Strides, dilations and padding for a kernel; `auto_pad` and `pads` exclude each other. */
function window(draw: Draw, kernel: readonly number[], options: { dilated: boolean; mostPad: readonly number[] }) {
  const each = (most: number) => kernel.map(() => draw.int(1, most));
  const attrs: Record<string, Attr> = draw.attrs<Attr>({ strides: each(3) }, 0.7);
  const auto = draw.bool(0.35) ? draw.pick(AUTO) : undefined;
  if (options.dilated && draw.bool(0.5)) attrs.dilations = each(auto?.startsWith('SAME') ? 1 : 2);
  if (auto !== undefined) attrs.auto_pad = auto;
  if ((auto === undefined || auto === 'NOTSET') && draw.bool(0.7)) {
    attrs.pads = [...options.mostPad, ...options.mostPad].map((most) => draw.int(0, Math.max(0, most)));
  }
  return attrs;
}

const conv: Generator = (draw) => {
  const spatial = draw.pick([1, 2, 2, 2, 3]);
  const group = draw.pick([1, 1, 2, 3]);
  const [inner, outer] = [draw.int(1, 3), draw.int(1, 3)];
  const kernel = draw.list(spatial, () => draw.int(1, 3));
  const x = [draw.int(1, 2), group * inner, ...kernel.map((k) => 2 * (k - 1) + draw.int(1, 4))];
  const element = draw.pick(['float', 'float', 'float', 'float', 'float16'] as const);
  const w = [group * outer, inner, ...kernel];
  return {
    opset: draw.opset(),
    operands: [
      draw.tensor(x, { element }),
      draw.tensor(w, { element }),
      ...(draw.bool() ? [draw.tensor([w[0]!], { element })] : []),
    ],
    attrs: {
      ...window(draw, kernel, { dilated: true, mostPad: kernel.map(() => 2) }),
      ...(group > 1 || draw.bool(0.3) ? { group } : {}),
      ...draw.attrs({ kernel_shape: kernel }),
    },
  };
};

const convTranspose: Generator = (draw) => {
  const spatial = draw.pick([1, 2, 2, 2, 3]);
  const group = draw.pick([1, 1, 2]);
  const [inner, outer] = [draw.int(1, 3), draw.int(1, 3)];
  const kernel = draw.list(spatial, () => draw.int(1, 4));
  const x = [draw.int(1, 2), group * inner, ...kernel.map(() => draw.int(2, 4))];
  const attrs = window(draw, kernel, { dilated: true, mostPad: kernel.map((k) => k - 1) });
  const strides = (attrs.strides as number[] | undefined) ?? kernel.map(() => 1);
  const dilations = (attrs.dilations as number[] | undefined) ?? kernel.map(() => 1);
  if (draw.bool(0.3)) attrs.output_padding = strides.map((s, a) => draw.int(0, Math.max(s, dilations[a]!) - 1));
  if (draw.bool(0.25) && attrs.auto_pad !== 'VALID') {
    const full = kernel.map((k, s) => strides[s]! * (x[s + 2]! - 1) + dilations[s]! * (k - 1) + 1);
    attrs.output_shape = full.map((d) => Math.max(1, d - draw.int(0, 2)));
    if (draw.bool(0.7)) delete attrs.pads;
  }
  const element = draw.pick(['float', 'float', 'float', 'float16'] as const);
  return {
    opset: draw.opset(),
    operands: [
      draw.tensor(x, { element }),
      draw.tensor([group * inner, outer, ...kernel], { element }),
      ...(draw.bool() ? [draw.tensor([group * outer], { element })] : []),
    ],
    attrs: { ...attrs, ...(group > 1 || draw.bool(0.3) ? { group } : {}), ...draw.attrs({ kernel_shape: kernel }) },
  };
};

interface Pool {
  readonly types: readonly Element[];
  /** From which opset on there are dilations and rounding up. */
  readonly dilated: number;
  readonly ceil: number;
  readonly more?: (draw: Draw, opset: number) => Record<string, Attr>;
}

const pool =
  ({ types, dilated, ceil, more }: Pool): Generator =>
  (draw) => {
    const opset = draw.opset();
    const spatial = draw.pick([1, 2, 2, 2, 3]);
    const kernel = draw.list(spatial, () => draw.int(1, 3));
    const x = [draw.int(1, 2), draw.int(1, 3), ...kernel.map((k) => 2 * (k - 1) + draw.int(1, 5))];
    const attrs = window(draw, kernel, { dilated: opset >= dilated, mostPad: kernel.map((k) => k - 1) });
    if (opset >= ceil && draw.bool(0.6)) attrs.ceil_mode = draw.int(0, 4) > 0 ? 1 : 0;
    const element = draw.pick(types);
    const kind = draw.pick(['normal', 'small'] as const);
    return {
      opset,
      operands: [draw.tensor(x, { element, kind })],
      attrs: { kernel_shape: kernel, ...attrs, ...more?.(draw, opset) },
    };
  };

const maxPool: Generator = (draw) => {
  const make = pool({
    types: ['float', 'float', 'float', 'double', 'float16'],
    dilated: 10,
    ceil: 10,
    more: (d, opset) => (opset >= 8 ? d.attrs({ storage_order: d.int(0, 1) }, 0.15) : {}),
  });
  const c = make(draw);
  return c.opset >= 8 && draw.bool(0.3) ? { ...c, outputs: [true, true] } : c;
};

const global =
  (more: (draw: Draw) => Record<string, Attr> = () => ({})): Generator =>
  (draw) => ({
    opset: draw.opset(),
    operands: [draw.tensor(image(draw, draw.int(1, 3), draw.int(1, 3)))],
    attrs: more(draw),
  });

const EQUATIONS: readonly string[] = [
  'ij,jk->ik', 'bij,bjk->bik', 'bhid,bhjd->bhij', 'ij->ji', 'ij,ij->', 'ij,k->ijk', '...i,ij->...j', 'ij,jk', 'i,i->', 'i,j->ij', 'ijk->',
  'ijk->k', 'ii->i', 'ii', 'ij,jk,kl->il', '...ij,...jk->...ik', 'a...,b...->ab...', 'bi,bj,bk->ijk', 'ab,ab->ab', 'i->i', 'ba,c', 'ij,ij',
  '...->...', 'i...->...i', 'abc,cd,b->ad', ' i j , j k -> i k ', 'Ab,bC->AC', 'ij,j->i', 'iij,j->i', 'ijkl->kjli', 'i,->i', 'ab,b,b->a',
]; // biome-ignore format: one list

/** Sizes for the letters of an equation; the dots stand for up to two axes. */
const einsum: Generator = (draw) => {
  const equation = draw.pick(EQUATIONS);
  const sizes = new Map<string, number>();
  const dots = draw.shape(0, 2, 3);
  const terms = equation.replaceAll(' ', '').split('->')[0]!.split(',');
  const shapes = terms.map((term) => {
    const open = term.replace('...', '#');
    return [...open].flatMap((l) => {
      if (l === '#') return dots.map((d) => (terms.length > 1 && draw.bool(0.2) ? 1 : d));
      if (!sizes.has(l)) sizes.set(l, draw.int(1, 4));
      return [sizes.get(l)!];
    });
  });
  const element = draw.pick(['float', 'float', 'double'] as const);
  return { opset: draw.opset(12), operands: shapes.map((s) => draw.tensor(s, { element })), attrs: { equation } };
};

const COORDINATES = [
  'half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric', 'tf_crop_and_resize', 'tf_half_pixel_for_nn',
]; // biome-ignore format: one list

/** Sizes that the scales give, or scales alone; up, down, both, and not at all. */
const resize: Generator = (draw) => {
  const opset = draw.opset(10);
  const mode = draw.pick(opset >= 11 ? ['nearest', 'linear', 'cubic'] : ['nearest', 'linear']);
  // ONNX Runtime's kernels: cubic in two dimensions, of images or matrices.
  const rank = mode === 'cubic' ? draw.pick([2, 4, 4]) : draw.pick([2, 3, 4, 4, 4, 5]);
  const inner = Math.min(rank, mode === 'nearest' ? draw.pick([1, 2, 2, 3]) : rank === 5 ? 3 : draw.pick([1, 2, 2]));
  const x = draw.list(rank, (a) => (a < rank - inner ? draw.int(1, 2) : draw.int(1, 6)));
  const scaled = x.map((_, a) => a >= rank - inner);
  const factors = [0.5, 0.6, 0.75, 1, 1.3, 1.5, 2, 2, 2.6, 3];
  const scales = x.map((_, a) => Math.fround(scaled[a] ? draw.pick(factors) : 1));
  const sizes = x.map((d, a) => (scaled[a] ? draw.int(1, 9) : d));
  const element = draw.pick(
    mode === 'cubic' ? (['float'] as const) : (['float', 'float', 'float', 'uint8', 'int32'] as const),
  );
  const image = draw.tensor(x, { element: opset >= 11 ? element : 'float' });
  if (opset === 10) return { opset, operands: [image, draw.fixed(scales, [rank], 'float')], attrs: { mode } };

  const coordinates = draw.pick(
    opset >= 13
      ? COORDINATES.filter((c) => c !== 'tf_half_pixel_for_nn')
      : COORDINATES.filter((c) => c !== 'half_pixel_symmetric'),
  );
  const axes = opset >= 18 && draw.bool(0.4) ? axesWith(draw, scaled) : undefined;
  const picked = axes?.map((a) => (a < 0 ? a + rank : a)) ?? [...x.keys()];
  const pick = (list: readonly number[]) => picked.map((a) => list[a]!);
  const bySize = draw.bool(0.5);
  const roi =
    coordinates === 'tf_crop_and_resize'
      ? draw.fixed(
          [...picked.map(() => draw.pick([0, 0.1, -0.2])), ...picked.map(() => draw.pick([1, 0.8, 1.3]))].map(
            Math.fround,
          ),
          [2 * picked.length],
          'float',
        )
      : opset < 13
        ? draw.fixed([], [0], 'float')
        : undefined;
  const scaleOperand = bySize
    ? opset < 13
      ? draw.fixed([], [0], 'float')
      : undefined
    : draw.fixed(pick(scales), [picked.length], 'float');
  return {
    opset,
    operands: [image, roi, scaleOperand, ...(bySize ? [draw.fixed(pick(sizes))] : [])],
    attrs: {
      ...draw.attrs<Attr>({ mode }, 0.95),
      ...draw.attrs<Attr>(
        { coordinate_transformation_mode: coordinates },
        coordinates === 'tf_crop_and_resize' ? 1 : 0.9,
      ),
      ...(mode === 'nearest'
        ? draw.attrs<Attr>(
            { nearest_mode: draw.pick(['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']) },
            0.8,
          )
        : {}),
      ...(mode === 'cubic'
        ? draw.attrs<Attr>({ cubic_coeff_a: floatAttr(-0.5), exclude_outside: draw.int(0, 1) }, 0.5)
        : {}),
      ...(coordinates === 'tf_crop_and_resize'
        ? draw.attrs<Attr>({ extrapolation_value: floatAttr(draw.pick([0, 2])) }, 0.4)
        : {}),
      ...(opset >= 18 && mode !== 'nearest' ? draw.attrs<Attr>({ antialias: draw.int(0, 1) }, 0.25) : {}),
      ...(opset >= 18 && bySize
        ? draw.attrs<Attr>({ keep_aspect_ratio_policy: draw.pick(['stretch', 'not_larger', 'not_smaller']) }, 0.25)
        : {}),
      ...(axes ? { axes } : {}),
    },
  };
};

/** Scales are an attribute before opset 9; from 10 on there is Resize instead. */
const upsample: Generator = (draw) => {
  const opset = draw.opset(7, 9);
  const rank = draw.pick([2, 3, 4, 4]);
  const x = draw.list(rank, (a) => (rank === 4 && a < 2 ? draw.int(1, 2) : draw.int(1, 4)));
  const scales = x.map((_, a) => Math.fround(a >= rank - 2 ? draw.pick([1, 1.5, 2, 2.6, 3]) : 1));
  const attrs: Record<string, Attr> = draw.attrs({ mode: draw.pick(['nearest', 'linear']) }, 0.9);
  if (opset < 9) return { opset, operands: [draw.tensor(x)], attrs: { ...attrs, scales: { floats: scales } } };
  return { opset, operands: [draw.tensor(x), draw.fixed(scales, [rank], 'float')], attrs };
};

export const linear = {
  MatMul: matMul,
  Gemm: gemm,
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: pool({
    types: ['float', 'float', 'float', 'float16'],
    dilated: 19,
    ceil: 10,
    more: (draw) => draw.attrs({ count_include_pad: draw.int(0, 1) }, 0.7),
  }),
  LpPool: pool({ types: ['float'], dilated: 18, ceil: 18, more: (draw) => draw.attrs({ p: draw.int(1, 4) }, 0.7) }),
  GlobalAveragePool: global(),
  GlobalMaxPool: global(),
  GlobalLpPool: global((draw) => draw.attrs({ p: draw.int(1, 4) })),
  Einsum: einsum,
  Resize: resize,
  Upsample: upsample,
} satisfies Record<string, Generator>;
