// Interpolation along each axis as a product with a constant matrix: every mode and coordinate rule is such a matrix. Nearest
// neighbours at whole scales are repetitions.

import type { Value } from '../../graph/index.ts';
import { matmul, repeatEach, reshape, transpose } from '../../ops/index.ts';
import type { NodeContext } from './context.ts';

/** Resize, and Upsample as it was before opset 10. */
export function resize(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const old = ctx.node.op === 'Upsample' || ctx.opset < 11;
  const scales = given(old ? ctx.maybeKnown(1) : ctx.maybeKnown(2)) ?? ctx.ints('scales');
  const sizes = old ? undefined : given(ctx.maybeKnown(3));
  const roi = old ? undefined : given(ctx.maybeKnown(1));
  const axes = ctx.ints('axes') ?? [...x.shape.keys()];
  const policy = ctx.text('keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') ctx.refuse(`keep_aspect_ratio_policy '${policy}'`);
  if (ctx.int('antialias', 0) !== 0) ctx.refuse('antialias');
  const repeated = x.shape.map(() => 1);
  const interpolated = axes.reduce((y, axis, k) => {
    const d = x.shape[axis]!;
    const size = sizes ? sizes[k]! : Math.floor(d * (scales ?? ctx.refuse('neither scales nor sizes'))[k]!);
    const scale = sizes ? size / d : scales![k]!;
    ctx.sized(ctx.sized(size, 'a size', 2 ** 16) * d, 'an interpolation between sizes with the product', 2 ** 21);
    if (!(scale > 0)) ctx.refuse(`a scale of ${scale}`);
    if (size === d && scale === 1) return y;
    const box: [number, number] = roi ? [roi[k]!, roi[axes.length + k]!] : [0, 1];
    const matrix = weights(ctx, d, size, scale, box, old);
    if (size % d === 0 && repeats(matrix, d, size)) {
      repeated[axis] = size / d;
      return y;
    }
    return alongAxis(ctx, y, axis, matrix, size);
  }, x);
  return repeatEach(interpolated, repeated);
}

/** An operand that is there but empty counts as left out. */
function given(list: number[] | undefined): number[] | undefined {
  return list && list.length > 0 ? list : undefined;
}

/** y[.., j, ..] = Σ_i m[j, i] x[.., i, ..]. */
function alongAxis(ctx: NodeContext, x: Value, axis: number, m: Float64Array, size: number): Value {
  const d = x.shape[axis]!;
  const last = x.shape.length - 1;
  const perm = [...x.shape.keys()].filter((a) => a !== axis).concat(axis);
  const flat = reshape(transpose(x, perm), [-1, d]);
  const y = matmul(flat, transpose(ctx.constant(m, [size, d])));
  const shape = perm.map((a) => (a === axis ? size : x.shape[a]!));
  return transpose(
    reshape(y, shape),
    x.shape.map((_, a) => (a === axis ? last : a < axis ? a : a - 1)),
  );
}

/** Whether each input is there size / d times, in order: nearest neighbours at a whole scale. */
function repeats(m: Float64Array, d: number, size: number): boolean {
  return m.every((w, at) => w === Number(at % d === Math.floor(Math.floor(at / d) / (size / d))));
}

/** The matrix [size, d] of one axis. */
function weights(
  ctx: NodeContext,
  d: number,
  size: number,
  scale: number,
  box: readonly [number, number],
  old: boolean,
): Float64Array {
  const mode = ctx.text('mode', 'nearest');
  const rule = old ? 'asymmetric' : ctx.text('coordinate_transformation_mode', 'half_pixel');
  const nearest = old ? 'floor' : ctx.text('nearest_mode', 'round_prefer_floor');
  const cubic = ctx.float('cubic_coeff_a', -0.75);
  const exclude = ctx.int('exclude_outside', 0) === 1;
  const m = new Float64Array(size * d);
  for (let j = 0; j < size; j++) {
    const at = original(ctx, rule, j, d, size, scale, box);
    if (rule === 'tf_crop_and_resize' && (at < 0 || at > d - 1)) {
      if (ctx.float('extrapolation_value', 0) !== 0) ctx.refuse('an extrapolation_value other than 0');
      continue;
    }
    for (const [i, w] of taps(ctx, mode, nearest, at, d, cubic, exclude)) m[j * d + i]! += w;
  }
  return m;
}

/** The coordinate in the input that output place j comes from. */
function original(
  ctx: NodeContext,
  rule: string,
  j: number,
  d: number,
  size: number,
  scale: number,
  [start, end]: readonly [number, number],
): number {
  switch (rule) {
    case 'half_pixel':
      return (j + 0.5) / scale - 0.5;
    case 'half_pixel_symmetric': {
      const adjustment = size / (scale * d);
      return (d / 2) * (1 - adjustment) + (j + 0.5) / scale - 0.5;
    }
    case 'pytorch_half_pixel':
      return size > 1 ? (j + 0.5) / scale - 0.5 : 0;
    case 'align_corners':
      return size > 1 ? (j * (d - 1)) / (size - 1) : 0;
    case 'asymmetric':
      return j / scale;
    case 'tf_crop_and_resize':
      return size > 1 ? start * (d - 1) + (j * (end - start) * (d - 1)) / (size - 1) : 0.5 * (start + end) * (d - 1);
    default:
      return ctx.refuse(`coordinate_transformation_mode '${rule}'`);
  }
}

/** Which input places make the value at a coordinate, with what weights. */
function taps(
  ctx: NodeContext,
  mode: string,
  nearest: string,
  at: number,
  d: number,
  a: number,
  exclude: boolean,
): [number, number][] {
  const clamp = (i: number) => Math.min(d - 1, Math.max(0, i));
  if (mode === 'nearest') {
    const rounding: Readonly<Record<string, (x: number) => number>> = {
      round_prefer_floor: (x) => Math.ceil(x - 0.5),
      round_prefer_ceil: (x) => Math.floor(x + 0.5),
      floor: Math.floor,
      ceil: Math.ceil,
    };
    const round = rounding[nearest] ?? ctx.refuse(`nearest_mode '${nearest}'`);
    return [[clamp(round(at)), 1]];
  }
  const floor = Math.floor(at);
  const t = at - floor;
  if (mode === 'linear') {
    const inside = clamp(at);
    const i = Math.min(d - 1, Math.floor(inside));
    const f = inside - i;
    return [
      [i, 1 - f],
      [clamp(i + 1), f],
    ];
  }
  if (mode !== 'cubic') ctx.refuse(`mode '${mode}'`);
  // Keys, "Cubic convolution interpolation for digital image processing", 1981.
  const near = (s: number) => ((a + 2) * s - (a + 3)) * s * s + 1;
  const far = (s: number) => ((a * s - 5 * a) * s + 8 * a) * s - 4 * a;
  const raw: [number, number][] = [
    [floor - 1, far(1 + t)],
    [floor, near(t)],
    [floor + 1, near(1 - t)],
    [floor + 2, far(2 - t)],
  ];
  if (!exclude) return raw.map(([i, w]) => [clamp(i), w]);
  const inside = raw.filter(([i]) => i >= 0 && i < d);
  const total = inside.reduce((sum, [, w]) => sum + w, 0);
  return inside.map(([i, w]) => [i, w / total]);
}
