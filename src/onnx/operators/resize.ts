// Interpolation along each axis as a product with a constant matrix: every mode and coordinate rule is such a matrix.
// Nearest neighbours at whole scales are repetitions.

import type { Value } from '../../graph/index.ts';
import { matmul, repeatEach, reshape, transpose } from '../../ops/index.ts';
import type { NodeContext } from './context.ts';
import { axisOf } from './shape.ts';

/** One axis: its size before and after, and the factor. */
interface Axis {
  readonly d: number;
  readonly size: number;
  readonly scale: number;
}

/** Resize, and Upsample as it was before opset 10. */
export function resize(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const policy = ctx.text('keep_aspect_ratio_policy', 'stretch');
  if (policy !== 'stretch') ctx.refuse(`keep_aspect_ratio_policy '${policy}'`);
  const mode = ctx.text('mode', 'nearest');
  if (x.dtype !== 'float' && mode !== 'nearest') ctx.refuse(`mode '${mode}' of whole numbers`);
  const axes = axesOf(ctx, x);
  const moving = axes.find(([, a]) => a.scale !== 1);
  if (moving && axes.every(([, a]) => a.size === a.d)) {
    // By the letter it moves values about; ONNX Runtime copies.
    ctx.refuse(`a scale of ${moving[1].scale} that leaves all sizes as they are`);
  }
  const repeated = x.shape.map(() => 1);
  const interpolated = axes.reduce((y, [axis, a]) => {
    if (a.size === a.d && a.scale === 1) return y;
    const matrix = weights(ctx, mode, a);
    if (x.dtype !== 'float' || a.size % a.d !== 0 || !repeats(matrix, a.d, a.size)) {
      return alongAxis(ctx, y, axis, matrix, a.size);
    }
    repeated[axis] = a.size / a.d;
    return y;
  }, x);
  return repeatEach(interpolated, repeated);
}

const isOld = (ctx: NodeContext) => ctx.node.op === 'Upsample' || ctx.opset < 11;

/**
 * Each axis that is resized, in order, from sizes or scales; of an Upsample and before opset 11 there are scales alone.
 */
function axesOf(ctx: NodeContext, x: Value): (readonly [axis: number, a: Axis])[] {
  const old = isOld(ctx);
  const asked = given(ctx.maybeKnown(old ? 1 : 2)) ?? (old ? ctx.ints('scales') : undefined);
  const scales = asked?.map(Math.fround);
  const sizes = old ? undefined : given(ctx.maybeKnown(3));
  if (scales && sizes) ctx.refuse('scales and sizes, expected one of them');
  const axes = (ctx.ints('axes') ?? [...x.shape.keys()]).map((a) => axisOf(ctx, x, a));
  const list = sizes ?? scales ?? ctx.refuse('neither scales nor sizes');
  if (list.length !== axes.length) ctx.refuse(`${list.length} ${sizes ? 'sizes' : 'scales'} for ${axes.length} axes`);
  return axes.map((axis, k) => {
    const d = x.shape[axis]!;
    const own = sizes ? Math.fround(sizes[k]! / d) : scales![k]!;
    if (!(own > 0)) ctx.refuse(`a scale of ${own}`);
    // As ONNX Runtime does it, in float32: 5 · 2.6 is 13 there and a little less in float64.
    const size = sizes?.[k] ?? Math.floor(Math.fround(d * own));
    ctx.sized(ctx.sized(size, 'a size', 2 ** 16) * d, 'an interpolation between sizes with the product', 2 ** 21);
    if (size === 0) ctx.refuse(`a size of 0, from ${d} by ${own}`);
    return [axis, { d, size, scale: own }];
  });
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
  const y = matmul(flat, transpose(ctx.constant(m, [size, d], x.dtype)));
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
function weights(ctx: NodeContext, mode: string, axis: Axis): Float64Array {
  const { d, size, scale } = axis;
  const rule = isOld(ctx) ? 'asymmetric' : ctx.text('coordinate_transformation_mode', 'half_pixel');
  // Opset 10 says nothing of rounding; ONNX Runtime rounds up where it shrinks.
  const nearest = isOld(ctx) ? (scale < 1 ? 'ceil' : 'floor') : ctx.text('nearest_mode', 'round_prefer_floor');
  const cubic = ctx.float('cubic_coeff_a', -0.75);
  const exclude = ctx.int('exclude_outside', 0) === 1;
  const smooth = ctx.int('antialias', 0) === 1 && mode !== 'nearest';
  const m = new Float64Array(size * d);
  for (let j = 0; j < size; j++) {
    const at = original(ctx, rule, j, axis);
    const from =
      smooth && scale < 1 ? wide(mode, at, d, scale, cubic, exclude) : taps(ctx, mode, nearest, at, d, cubic, exclude);
    for (const [i, w] of from) m[j * d + i]! += w;
  }
  return m;
}

const f32 = Math.fround;

/** The coordinate in the input that output place j comes from, in float32: which neighbour is nearest depends on it. */
function original(ctx: NodeContext, rule: string, j: number, { d, size, scale }: Axis): number {
  const centre = f32(f32(f32(j + 0.5) / scale) - 0.5);
  switch (rule) {
    case 'half_pixel':
      return centre;
    case 'half_pixel_symmetric': {
      // Which neighbour is nearest hangs on roundings that ONNX Runtime does in another order.
      if (ctx.text('mode', 'nearest') === 'nearest') ctx.refuse(`mode 'nearest' with ${rule}`);
      const adjustment = f32(size / f32(scale * d));
      const offset = f32(f32(d / 2) * f32(1 - adjustment));
      return f32(f32(offset + f32(f32(j + 0.5) / scale)) - 0.5);
    }
    case 'pytorch_half_pixel':
      return size > 1 ? centre : 0;
    case 'align_corners':
      return size > 1 ? f32((j * (d - 1)) / (size - 1)) : 0;
    case 'asymmetric':
      return f32(j / scale);
    case 'tf_half_pixel_for_nn':
      return f32(f32(j + 0.5) / scale);
    default:
      return ctx.refuse(`coordinate_transformation_mode '${rule}'`);
  }
}

/**
 * The kernel as wide as the places that an output place covers (antialiasing); outside the image its ends count, or
 * nothing.
 */
function wide(mode: string, at: number, d: number, scale: number, a: number, exclude: boolean): [number, number][] {
  const kernel = mode === 'linear' ? triangle : (x: number) => keys(x, a);
  const reach = (mode === 'linear' ? 1 : 2) / scale;
  const first = Math.max(exclude ? 0 : Number.NEGATIVE_INFINITY, Math.ceil(at - reach));
  const last = Math.min(exclude ? d - 1 : Number.POSITIVE_INFINITY, Math.floor(at + reach));
  const found = Array.from({ length: last - first + 1 }, (_, k): [number, number] => [
    first + k,
    kernel((first + k - at) * scale),
  ]);
  const sum = found.reduce((total, [, w]) => total + w, 0);
  return found.map(([i, w]) => [Math.min(d - 1, Math.max(0, i)), w / sum]);
}

const triangle = (x: number) => Math.max(0, 1 - Math.abs(x));

/** Keys's cubic convolution kernel (1981). */
function keys(x: number, a: number): number {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((t - 5) * t + 8) * t * a - 4 * a : 0;
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
