// The weight gradient of a convolution as a sum of outer products over positions: its two factors, and their Gram
// matrices by a shorter way.

import type { Contraction, Factor, Lowered, Lowering, ValueType } from '../graph/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import { gramMatrix, joinGroups } from './contraction.ts';
import { type ConvAttrs, typeOf } from './conv-attrs.ts';
import { kronecker } from './kronecker.ts';

/**
 * The weight gradient as a sum of outer products over positions, dW[t] = Σ_p x[p + t] ⊗ dY[p]. Along an axis of stride
 * 1 the kernel's shifts can as well be moved to dY: with q = p + t, Σ_q x[q] ⊗ dY[q - t]. A side with T shifts is
 * copied T times.
 */
export function weightGradient(a: ConvAttrs, x: Shape, dY: Shape, dW: ValueType) {
  const kernel = dW.shape.slice(2);
  const r = kernel.length;
  const g = a.groups;
  const [perIn, perOut] = [x[1]! / g, dY[1]! / g];
  const reach = a.pads.map((p, i) => a.dilations[i % r]! * (kernel[i % r]! - 1) - p);
  const free = kernel.map((k, s) => k > 1 && a.strides[s] === 1 && reach[s]! >= 0 && reach[s + r]! >= 0);
  const onY = cheapestSides(kernel, free, perIn, perOut);
  const space = kernel.map((_, s) => (onY[s] ? x[s + 2]! : dY[s + 2]!));
  const own = (y: boolean) => [...kernel.keys()].filter((s) => onY[s] === y).map((s) => s + 2);
  const side = (y: boolean): Taps => ({
    axes: own(y),
    kernel: kernel.map((k, s) => (onY[s] === y ? k : 1)),
    dilations: a.dilations,
    shift: (y ? reach : a.pads).map((p, i) => (onY[i % r] === y ? p : 0)),
    out: space,
    steps: kernel.map((_, s) => (y || onY[s] ? 1 : a.strides[s]!)),
    reverse: y,
  });
  const [xTaps, yTaps] = [side(false), side(true)];
  return {
    count: g,
    p: x[0]! * sizeOf(space),
    i: perIn * sizeOf(xTaps.kernel),
    o: perOut * sizeOf(yTaps.kernel),
    sides: g === 1 ? { i: [1, ...own(false)], o: [0, ...own(true)] } : undefined,
    /**
     * Both with the positions last; each side's channels come before its taps, which are mixed by the `roots` of their
     * axes.
     */
    factors: (ctx: Lowering, [vx, vy]: readonly Lowered[], lead: Lowered['lead'], roots: TapRoots = new Map()) => ({
      x: patches(ctx, vx!, lead, g, xTaps, roots),
      y: patches(ctx, vy!, lead, g, yTaps, roots),
    }),
    finish(ctx: Lowering, product: string, lead: Lowered['lead']): Lowered {
      const m = ctx.leadSize(lead);
      // [m, g, cIn, taps of x, cOut, taps of y] -> [m, g, cOut, cIn, taps]; an axis has its taps on one side, 1 on the
      // other.
      const open = [m, g, perIn, ...xTaps.kernel, perOut, ...yTaps.kernel];
      const flat = [m, g, perIn * sizeOf(xTaps.kernel), perOut * sizeOf(yTaps.kernel)];
      const [atX, atY] = [3, 4 + r];
      const taps = kernel.map((_, s) => (onY[s] ? atY : atX) + s);
      const ones = kernel.map((_, s) => (onY[s] ? atX : atY) + s);
      const perm = [0, 1, 3 + r, 2, ...taps, ...ones];
      const { name, dims } = transposed(ctx, ctx.reshape(product, flat, open), open, perm);
      return lead === 'none'
        ? { name: ctx.reshape(name, dims, dW.shape), ...typeOf(dW), lead }
        : ctx.stored(name, dims, dW, lead);
    },
    /** [g · cOut, cIn, taps] -> [g, cIn, taps of x, cOut, taps of y] -> [g, i, o]. */
    arrange(ctx: Lowering, value: string): string {
      const open = ctx.reshape(value, dW.shape, [g, perOut, perIn, ...kernel]);
      const taps = (y: boolean) => kernel.flatMap((_, s) => (onY[s] === y ? [3 + s] : []));
      const [onX, onDY] = [taps(false), taps(true)];
      const perm = [0, 2, ...onX, 1, ...onDY];
      const dims = [g, perOut, perIn, ...kernel];
      const [i, o] = [perIn * sizeOf(xTaps.kernel), perOut * sizeOf(yTaps.kernel)];
      const name = ctx.emit('Transpose', [open], { perm });
      return ctx.reshape(
        name,
        perm.map((a) => dims[a]!),
        [g, i, o],
      );
    },
  };
}

/**
 * An addition of Gram matrices takes about as long as this many multiplications of a matrix product per element
 * (measured).
 */
const ADD_COST = 40;

/**
 * ⟨patch[p], patch[q]⟩ = Σ_t ⟨x[p + t], x[q + t]⟩: the Gram matrix of all patches is that of the pixels, added up over
 * the taps with both of its sides shifted alike. No patch is ever made. An axis at a time: Σ kernel sizes shifts, not
 * their product.
 */
export function pixelGram(a: ConvAttrs, x: Shape, dY: Shape, dW: Shape): Pick<Contraction, 'gram'> {
  if (x[0] !== 1) return {};
  const g = a.groups;
  const [perIn, perOut] = [x[1]! / g, dY[1]! / g];
  const [from, to, kernel] = [x.slice(2), dY.slice(2), dW.slice(2)];
  const pairs = (space: Shape, group: number) => (group * sizeOf(space)) ** 2;
  const shifted = kernel.map((k, s) => k > 1 || from[s] !== to[s]);
  return {
    gram: {
      cost(group) {
        let additions = 0;
        kernel.forEach((k, s) => {
          if (shifted[s]) additions += k * pairs([...to.slice(0, s + 1), ...from.slice(s + 1)], group);
        });
        return pairs(from, group) * perIn + pairs(to, group) * (perOut + 1) + ADD_COST * additions;
      },
      lower(ctx, [vx, vy]) {
        const pixels = (v: Lowered, channels: number, space: Shape) => {
          const size = sizeOf(space);
          const open = ctx.reshape(
            ctx.expanded(v, 'example'),
            [ctx.examples, ...v.shape],
            [ctx.examples, g, channels, size],
          );
          const joined = joinGroups(ctx, { name: open, positionsLast: true }, g, size, channels);
          return gramMatrix(ctx, joined, ctx.group * size);
        };
        let gram = pixels(vx!, perIn, from);
        let space = from;
        for (const s of kernel.keys()) {
          if (!shifted[s]) continue;
          const next = space.map((d, at) => (at === s ? to[s]! : d));
          gram = shiftedSum(ctx, gram, g, a, s, kernel[s]!, space, next);
          space = next;
        }
        return [gram, pixels(vy!, perOut, to)];
      },
    },
  };
}

/**
 * A tensor with its axes in another order; those of size 1, which hold no order, are left out of both. So the runtime
 * has fewer axes to walk along, and can make the transposition of a matrix part of the product that reads it.
 */
function transposed(ctx: Lowering, name: string, dims: Shape, perm: readonly number[]) {
  const axes = [...dims.keys()].filter((a) => a === 0 || dims[a] !== 1);
  const kept = perm.filter((a) => axes.includes(a));
  const [from, to] = [axes, kept].map((all) => all.map((a) => dims[a]!)) as [number[], number[]];
  const open = ctx.reshape(name, dims, from);
  const order = kept.map((a) => axes.indexOf(a));
  const moved = order.every((a, k) => a === k) ? open : ctx.emit('Transpose', [open], { perm: order });
  return { name: moved, dims: to };
}

/**
 * Σ over the taps of axis s of a Gram matrix [m, g, B·space, B·space] whose two sides move along that axis together.
 */
function shiftedSum(
  ctx: Lowering,
  gram: string,
  g: number,
  a: ConvAttrs,
  s: number,
  taps: number,
  space: Shape,
  next: Shape,
): string {
  const [m, B, r] = [ctx.leadSize('group'), ctx.group, space.length];
  const [before, after] = [sizeOf(space.slice(0, s)), sizeOf(space.slice(s + 1))];
  const view = (d: number) => [m * g * B * before, d, after * B * before, d, after];
  const P = (dims: Shape) => [m, g, B * sizeOf(dims), B * sizeOf(dims)];
  const [low, high] = [a.pads[s]!, a.pads[s + r]!];
  let open = ctx.reshape(gram, P(space), view(space[s]!));
  if (low > 0 || high > 0) {
    open = ctx.emit('Pad', [open, ctx.ints([0, low, 0, low, 0, 0, high, 0, high, 0]), ctx.float(0)]);
  }
  const [step, span] = [a.strides[s]!, (next[s]! - 1) * a.strides[s]! + 1];
  let sum: string | undefined;
  for (let t = 0; t < taps; t++) {
    const at = t * a.dilations[s]!;
    const both = (v: number) => ctx.ints([v, v]);
    const part = ctx.emit('Slice', [open, both(at), both(at + span), ctx.ints([1, 3]), both(step)]);
    sum = sum === undefined ? part : ctx.emit('Add', [sum, part]);
  }
  return ctx.reshape(sum!, view(next[s]!), P(next));
}

/** For each axis, whether its shifts are on dY (only where `free`): the choice that copies the fewest channels. */
function cheapestSides(kernel: Shape, free: readonly boolean[], perIn: number, perOut: number): readonly boolean[] {
  let best = kernel.map(() => false);
  let least = Number.POSITIVE_INFINITY;
  for (let choice = 0; choice < 2 ** kernel.length; choice++) {
    const onY = kernel.map((_, s) => (choice >> s) % 2 === 1);
    if (onY.some((y, s) => y && !free[s])) continue;
    const taps = (y: boolean) => sizeOf(kernel.filter((_, s) => onY[s] === y));
    const copies = (t: number, channels: number) => (t > 1 ? t * channels : 0);
    const cost = copies(taps(false), perIn) + copies(taps(true), perOut);
    if (cost < least) [best, least] = [onY, cost];
  }
  return best;
}

/** Matrices [d, d] that mix the weight gradient along axes of the kernel, by the axis of the weight. */
export type TapRoots = ReadonlyMap<number, string>;

/** Shifts of one side of a contraction: at output position o, tap t reads o · step + t · dilation − shift. */
interface Taps {
  /** The axes of the weight whose taps these are. */
  readonly axes: readonly number[];
  readonly kernel: Shape;
  readonly dilations: readonly number[];
  /** Zeros before each spatial axis, then after each. */
  readonly shift: readonly number[];
  readonly out: Shape;
  readonly steps: readonly number[];
  /** Taps in reverse order: those of the adjoint. */
  readonly reverse: boolean;
}

/** v [b, g·c, ...space] as one side of a contraction, [size, g, c·taps, b·positions]. */
function patches(ctx: Lowering, v: Lowered, lead: Lowered['lead'], g: number, taps: Taps, roots: TapRoots): Factor {
  const size = ctx.leadSize(lead);
  const [b, channels, ...space] = v.shape as [number, number, ...number[]];
  const [positions, width] = [sizeOf(taps.out), (channels / g) * sizeOf(taps.kernel)];
  const rows = ctx.reshape(ctx.expanded(v, lead), [size, ...v.shape], [size * b, channels, ...space]);
  const copies = tapCopies(ctx, rows, channels, taps, roots); // [size·b, channels·taps, ...out]
  const dims = [size * b, g * width, ...taps.out];
  const factor = [size, g, width, b * positions];
  if (b === 1) return { name: ctx.reshape(copies, dims, factor), positionsLast: true };
  const open = ctx.reshape(copies, dims, [size, b, g, width, positions]);
  const name = ctx.emit('Transpose', [open], { perm: [0, 2, 3, 1, 4] });
  return { name: ctx.reshape(name, [size, g, width, b, positions], factor), positionsLast: true };
}

/**
 * For each tap of the kernel the values of v [rows, channels, ...space] that it meets, side by side behind each
 * channel. Done by a convolution with kernels that are 1 at one tap: exact, one node, and faster than slices that are
 * joined.
 */
function tapCopies(ctx: Lowering, v: string, channels: number, taps: Taps, roots: TapRoots): string {
  const k = sizeOf(taps.kernel);
  const mixed = taps.axes.some((axis) => roots.has(axis));
  if (!mixed && k === 1 && taps.steps.every((s) => s === 1) && taps.shift.every((s) => s === 0)) return v;
  const weight = mixed
    ? ctx.emit('Tile', [
        mixedTaps(ctx, taps, roots),
        ctx.ints([channels, ...new Array<number>(taps.kernel.length + 1).fill(1)]),
      ])
    : ctx.float(oneTapEach(channels, k, taps.reverse), [channels * k, 1, ...taps.kernel]);
  const { shift: pads, steps: strides, dilations } = taps;
  return ctx.emit('Conv', [v, weight], { pads, strides, dilations, group: channels });
}

/** Kernels [channels · k, 1, k], in row-major order: that of a row is 1 at one tap. */
function oneTapEach(channels: number, k: number, reverse: boolean): Float32Array {
  const kernels = new Float32Array(channels * k * k);
  for (let row = 0; row < channels * k; row++) {
    const tap = row % k;
    kernels[row * k + (reverse ? k - 1 - tap : tap)] = 1;
  }
  return kernels;
}

/** Kernels [k, 1, ...taps] of one channel: the taps as the roots mix them. */
function mixedTaps(ctx: Lowering, { kernel, axes, reverse }: Taps, roots: TapRoots): string {
  const k = sizeOf(kernel);
  const own = axes.map((axis) => ({ root: roots.get(axis), d: kernel[axis - 2]! }));
  const rows = kronecker(ctx, own);
  const last = reverse
    ? ctx.emit('Gather', [rows, ctx.ints([...new Array<number>(k).keys()].reverse())], { axis: 1 })
    : rows;
  return ctx.reshape(last, [k, k], [k, 1, ...kernel]);
}
