// Convolution and the two other faces of the same trilinear form Σ x·w·y: its adjoint in x (transposed convolution)
// and its adjoint in w (the weight gradient). Each one's gradients are the other two.

import { GraphError } from '../errors.ts';
import type { Attrs, Contraction, Factor, Lowered, Lowering, OpRecord, Value, ValueType } from '../graph/index.ts';
import { ndarray } from '../tensor/ndarray.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { gramMatrix, joinGroups, outerProduct } from './contraction.ts';
import { reduceSum } from './reduce.ts';

/** x [b, cIn, ...in], w [cOut, cIn / groups, ...kernel], y [b, cOut, ...out]; 1, 2 or 3 spatial axes. */
export interface ConvOptions {
  readonly strides?: readonly number[];
  /** Zeros before each spatial axis, then after each, as in ONNX. */
  readonly pads?: readonly number[];
  readonly dilations?: readonly number[];
  readonly groups?: number;
}

interface ConvAttrs extends Attrs {
  readonly strides: readonly number[];
  readonly pads: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
}

const attrsOf = (attrs: Attrs): ConvAttrs => attrs as ConvAttrs;
const onnxAttrs = (a: ConvAttrs) => ({ strides: a.strides, pads: a.pads, dilations: a.dilations, group: a.groups });

function outSize(a: ConvAttrs, x: Shape, w: Shape): number[] {
  const r = x.length - 2;
  return x.slice(2).map((d, s) => {
    const span = a.dilations[s]! * (w[s + 2]! - 1) + 1;
    return Math.floor((d + a.pads[s]! + a.pads[s + r]! - span) / a.strides[s]!) + 1;
  });
}

/** Checks that x, w and y fit together; `what` names the op in the message. */
function check(what: string, a: ConvAttrs, x: Shape, w: Shape, y?: Shape): number[] {
  const where = `${what}: x ${shapeText(x)}, weight ${shapeText(w)}`;
  const r = x.length - 2;
  if (r < 1 || r > 3 || w.length !== x.length) throw new GraphError(`${where}: needs 1 to 3 spatial axes in both`);
  if (a.pads.length !== 2 * r || a.strides.length !== r || a.dilations.length !== r) {
    throw new GraphError(`${where}: pads, strides or dilations are not for ${r} spatial axes`);
  }
  if (x[1] !== w[1]! * a.groups) {
    throw new GraphError(`${where}: x has ${x[1]} channels, the weight expects ${w[1]! * a.groups}`);
  }
  if (w[0]! % a.groups !== 0) throw new GraphError(`${where}: ${w[0]} output channels in ${a.groups} groups`);
  const out = outSize(a, x, w);
  if (out.some((d) => d < 1)) throw new GraphError(`${where}: the kernel is larger than the padded input`);
  const expected = [x[0]!, w[0]!, ...out];
  if (y && !expected.every((d, i) => d === y[i])) {
    throw new GraphError(`${where}: y ${shapeText(y)}, expected ${shapeText(expected)}`);
  }
  return expected;
}

/** Visits every product of the sum as flat indices into x, w and y. */
function visit(a: ConvAttrs, x: Shape, w: Shape, y: Shape, f: (xi: number, wi: number, yi: number) => void): void {
  const r = x.length - 2;
  const kernel = w.slice(2);
  const [inSize, kSize, outTotal] = [sizeOf(x.slice(2)), sizeOf(kernel), sizeOf(y.slice(2))];
  const [perIn, perOut] = [w[1]!, y[1]! / a.groups];
  const at = (flat: number, shape: Shape) => {
    const index = new Array<number>(shape.length);
    for (let s = shape.length - 1, rest = flat; s >= 0; s--) {
      index[s] = rest % shape[s]!;
      rest = Math.floor(rest / shape[s]!);
    }
    return index;
  };
  for (let o = 0; o < outTotal; o++) {
    const out = at(o, y.slice(2));
    for (let k = 0; k < kSize; k++) {
      const tap = at(k, kernel);
      let inside = 0;
      for (let s = 0; s < r && inside >= 0; s++) {
        const p = out[s]! * a.strides[s]! + tap[s]! * a.dilations[s]! - a.pads[s]!;
        inside = p < 0 || p >= x[s + 2]! ? -1 : inside * x[s + 2]! + p;
      }
      if (inside < 0) continue;
      for (let b = 0; b < x[0]!; b++) {
        for (let co = 0; co < y[1]!; co++) {
          const group = Math.floor(co / perOut);
          for (let ci = 0; ci < perIn; ci++) {
            f(
              (b * x[1]! + group * perIn + ci) * inSize + inside,
              (co * perIn + ci) * kSize + k,
              (b * y[1]! + co) * outTotal + o,
            );
          }
        }
      }
    }
  }
}

export const convOps: Record<'Conv' | 'ConvInputGrad' | 'ConvWeightGrad', OpRecord> = {
  Conv: {
    name: 'Conv',
    bilinear: true,
    type: ([x, w, bias], attrs) => {
      const shape = check('Conv', attrsOf(attrs), x!.shape, w!.shape);
      if (bias && !sameShape(bias.shape, [shape[1]!])) {
        throw new GraphError(`Conv: bias ${shapeText(bias.shape)}, the weight has ${shape[1]} output channels`);
      }
      return { shape, dtype: 'float' };
    },
    evaluate: ([x, w, bias], attrs, out) => {
      const positions = sizeOf(out.shape.slice(2));
      const channel = (i: number) => Math.floor(i / positions) % out.shape[1]!;
      const y = ndarray(out.shape, bias && Array.from({ length: sizeOf(out.shape) }, (_, i) => bias.data[channel(i)]!));
      visit(attrsOf(attrs), x!.shape, w!.shape, y.shape, (xi, wi, yi) => {
        y.data[yi]! += x!.data[xi]! * w!.data[wi]!;
      });
      return y;
    },
    multiplications: (node, y) => products(y.shape, node.inputs[1]!.shape),
    gradient: (dY, node, _y, needs) => {
      const [x, w] = node.inputs as [Value, Value];
      return [
        needs[0] ? apply(convOps.ConvInputGrad, [dY, w], { ...node.attrs, shape: x.shape }) : null,
        needs[1] ? apply(convOps.ConvWeightGrad, [x, dY], { ...node.attrs, shape: w.shape }) : null,
        ...(node.inputs.length > 2
          ? [
              reduceSum(
                dY,
                [0, ...dY.shape.keys()].filter((a) => a !== 1),
              ),
            ]
          : []),
      ];
    },
    lower: (ctx, [x, w, bias], node, y) => {
      const attrs = attrsOf(node.attrs);
      if (!bias) return lowerWithWeight(ctx, 'Conv', x!, w!, y, attrs, onnxAttrs);
      if (w!.lead === 'none' && bias.lead === 'none') {
        return lowerWithWeight(ctx, 'Conv', x!, w!, y, attrs, onnxAttrs, bias.name);
      }
      const product = lowerWithWeight(ctx, 'Conv', x!, w!, y, attrs, onnxAttrs);
      const perChannel = [y.shape[1]!, ...y.shape.slice(2).map(() => 1)];
      const dims = bias.lead === 'none' ? perChannel : [ctx.leadSize(bias.lead), 1, ...perChannel];
      const name = ctx.reshape(bias.name, ctx.storage(bias.shape, bias.lead), dims);
      const lead = product.lead === 'none' ? bias.lead : product.lead;
      return ctx.stored(ctx.emit('Add', [ctx.full(product), name]), [ctx.leadSize(lead), ...y.shape], y, lead);
    },
  },

  // dY [b, cOut, ...out], w -> dX of `shape`. Read forwards it is a transposed convolution.
  ConvInputGrad: {
    name: 'ConvInputGrad',
    bilinear: true,
    type: ([dY, w], attrs) => {
      check('ConvTranspose', attrsOf(attrs), attrs.shape as Shape, w!.shape, dY!.shape);
      return { shape: attrs.shape as Shape, dtype: 'float' };
    },
    evaluate: ([dY, w], attrs, out) => {
      const dX = ndarray(out.shape);
      visit(attrsOf(attrs), dX.shape, w!.shape, dY!.shape, (xi, wi, yi) => {
        dX.data[xi]! += dY!.data[yi]! * w!.data[wi]!;
      });
      return dX;
    },
    multiplications: (node) => products(node.inputs[0]!.shape, node.inputs[1]!.shape),
    gradient: (ddX, node, _dX, needs) => {
      const [dY, w] = node.inputs as [Value, Value];
      const attrs = baseAttrs(node.attrs);
      return [
        needs[0] ? apply(convOps.Conv, [ddX, w], attrs) : null,
        needs[1] ? apply(convOps.ConvWeightGrad, [ddX, dY], { ...attrs, shape: w.shape }) : null,
      ];
    },
    lower: (ctx, [dY, w], node, dX) => {
      const a = attrsOf(node.attrs);
      const kernel = w!.shape.slice(2);
      const full = a.pads.map((p, i) => a.dilations[i % kernel.length]! * (kernel[i % kernel.length]! - 1) - p);
      if (w!.lead === 'none' && a.strides.every((s) => s === 1) && full.every((p) => p >= 0)) {
        const flipped = flipWeight(ctx, w!, a.groups);
        return lowerWithWeight(ctx, 'Conv', dY!, flipped, dX, { ...a, pads: full }, onnxAttrs);
      }
      // Rows of x that the strides never reach at the end come back through output_padding.
      const outPad = kernel.map((k, s) => {
        const reached = (dY!.shape[s + 2]! - 1) * a.strides[s]! + a.dilations[s]! * (k - 1) + 1;
        return dX.shape[s + 2]! - (reached - a.pads[s]! - a.pads[s + kernel.length]!);
      });
      const toOnnx = (b: ConvAttrs) => ({ ...onnxAttrs(b), output_padding: outPad });
      return lowerWithWeight(ctx, 'ConvTranspose', dY!, w!, dX, a, toOnnx);
    },
  },

  // x, dY -> dW of `shape`.
  ConvWeightGrad: {
    name: 'ConvWeightGrad',
    type: ([x, dY], attrs) => {
      check('ConvWeightGrad', attrsOf(attrs), x!.shape, attrs.shape as Shape, dY!.shape);
      return { shape: attrs.shape as Shape, dtype: 'float' };
    },
    evaluate: ([x, dY], attrs, out) => {
      const dW = ndarray(out.shape);
      visit(attrsOf(attrs), x!.shape, dW.shape, dY!.shape, (xi, wi, yi) => {
        dW.data[wi]! += x!.data[xi]! * dY!.data[yi]!;
      });
      return dW;
    },
    gradient: (ddW, node, _dW, needs) => {
      const [x, dY] = node.inputs as [Value, Value];
      const attrs = baseAttrs(node.attrs);
      return [
        needs[0] ? apply(convOps.ConvInputGrad, [dY, ddW], { ...attrs, shape: x.shape }) : null,
        needs[1] ? apply(convOps.Conv, [x, ddW], attrs) : null,
      ];
    },
    lower: (ctx, inputs, node, dW) => {
      const parts = weightGradient(attrsOf(node.attrs), node.inputs[0]!.shape, node.inputs[1]!.shape, dW);
      const lead = inputs.some((x) => x.lead === 'example')
        ? 'example'
        : (inputs.find((x) => x.lead !== 'none')?.lead ?? 'none');
      const { x, y } = parts.factors(ctx, inputs, lead);
      return parts.finish(ctx, outerProduct(ctx, x, y), lead);
    },
    contraction: (node, dW): Contraction => {
      const parts = weightGradient(attrsOf(node.attrs), node.inputs[0]!.shape, node.inputs[1]!.shape, dW);
      return {
        ...parts,
        ...pixelGram(attrsOf(node.attrs), node.inputs[0]!.shape, node.inputs[1]!.shape, dW.shape),
        factors: (ctx, inputs) => parts.factors(ctx, inputs, 'example'),
        finish: (ctx, product) => parts.finish(ctx, product, 'group'),
      };
    },
  },
};

/** Of a convolution with results of shape `y`; of a weight [o, i, kernel] each result takes i·kernel. */
const products = (y: Shape, w: Shape) => sizeOf(y) * sizeOf(w.slice(1));

function baseAttrs(attrs: Attrs): ConvAttrs {
  const { strides, pads, dilations, groups } = attrsOf(attrs);
  return { strides, pads, dilations, groups };
}

/** Weights [o, i/g, k] as those of the convolution that takes dY to dX at stride 1: [i, o/g, k], kernel reversed. */
function flipWeight(ctx: Lowering, w: Lowered, groups: number): Lowered {
  const [o, perIn, ...kernel] = w.shape as [number, number, ...number[]];
  const spatial = kernel.map((_, i) => i + 3);
  const grouped = [groups, o / groups, perIn, ...kernel];
  let name = ctx.reshape(w.name, w.shape, grouped);
  name = ctx.emit('Transpose', [name], { perm: [0, 2, 1, ...spatial] });
  const shape = [groups * perIn, o / groups, ...kernel];
  name = ctx.reshape(name, [groups, perIn, o / groups, ...kernel], shape);
  const axes = kernel.flatMap((k, i) => (k > 1 ? [i + 2] : []));
  if (axes.length > 0) {
    const all = (value: number) => ctx.ints(axes.map(() => value));
    name = ctx.emit('Slice', [name, all(-1), all(-(2 ** 31)), ctx.ints(axes), all(-1)]);
  }
  return { name, shape, dtype: w.dtype, lead: 'none' };
}

/** Conv or ConvTranspose of x [b, c, ...] by w, either of them with or without lead; `bias` only where w has none. */
function lowerWithWeight(
  ctx: Lowering,
  op: 'Conv' | 'ConvTranspose',
  x: Lowered,
  w: Lowered,
  y: ValueType,
  attrs: ConvAttrs,
  toOnnx: (a: ConvAttrs) => Readonly<Record<string, number | readonly number[]>>,
  bias?: string,
): Lowered {
  if (w.lead === 'none') {
    const operands = bias === undefined ? [w.name] : [w.name, bias];
    if (x.lead === 'none') {
      return { name: ctx.emit(op, [x.name, ...operands], toOnnx(attrs)), ...typeOf(y), lead: 'none' };
    }
    const n = ctx.leadSize(x.lead);
    const rows = ctx.reshape(x.name, ctx.storage(x.shape, x.lead), [n * x.shape[0]!, ...x.shape.slice(1)]);
    const name =
      op === 'Conv' && isNarrow(w.shape, attrs)
        ? narrowConv(ctx, rows, w, attrs, operands[1])
        : ctx.emit(op, [rows, ...operands], toOnnx(attrs));
    return ctx.stored(name, [n * y.shape[0]!, ...y.shape.slice(1)], y, x.lead);
  }
  // A weight per example: the examples become groups of one convolution, b stays its batch.
  const n = ctx.leadSize(w.lead);
  const [b, c, ...space] = x.shape as [number, number, ...number[]];
  let rows = ctx.expanded(x, w.lead);
  const spatial = space.map((_, i) => i + 3);
  if (b > 1) rows = ctx.emit('Transpose', [rows], { perm: [1, 0, 2, ...spatial] });
  rows = ctx.reshape(rows, b > 1 ? [b, n, c, ...space] : [n, b, c, ...space], [b, n * c, ...space]);
  const weight = ctx.reshape(ctx.full(w), [n, ...w.shape], [n * w.shape[0]!, ...w.shape.slice(1)]);
  let name = ctx.emit(op, [rows, weight], toOnnx({ ...attrs, groups: n * attrs.groups }));
  const [, cOut, ...outSpace] = y.shape as [number, number, ...number[]];
  if (b > 1) {
    name = ctx.reshape(name, [b, n * cOut, ...outSpace], [b, n, cOut, ...outSpace]);
    name = ctx.emit('Transpose', [name], { perm: [1, 0, 2, ...spatial] });
    return ctx.stored(name, [n, b, cOut, ...outSpace], y, w.lead);
  }
  return ctx.stored(name, [b, n * cOut, ...outSpace], y, w.lead);
}

/** ONNX Runtime computes output channels in blocks of this many (AVX-512; of 8 otherwise, where the condition below holds too). */
const BLOCK = 16;

/** Whether blocks of output channels would be mostly empty, and less so with the last axis' taps as channels of their own. */
function isNarrow(w: Shape, a: ConvAttrs): boolean {
  const [cOut, cIn] = w as [number, number];
  const last = w.at(-1)!;
  const blocks = (channels: number) => Math.ceil(channels / BLOCK) * BLOCK;
  return a.groups === 1 && cIn >= BLOCK && a.strides.at(-1) === 1 && 2 * blocks(cOut * last) < blocks(cOut) * last;
}

/**
 * A convolution of rows [n, cIn, ...] to few channels in two: all axes but the last, with one output for each tap of the last;
 * then those added up, each at its shift (kernels that are 1 at one tap). Twice as fast for a 3×3 kernel and up to 5 channels.
 */
function narrowConv(ctx: Lowering, rows: string, w: Lowered, a: ConvAttrs, bias: string | undefined): string {
  const [cOut, cIn, ...kernel] = w.shape as [number, number, ...number[]];
  const r = kernel.length;
  const last = kernel[r - 1]!;
  const others = kernel.slice(0, -1);
  // [cOut, cIn, ...others, last] -> [cOut · last, cIn, ...others, 1]
  const spread = ctx.emit('Transpose', [w.name], { perm: [0, r + 1, 1, ...others.map((_, s) => s + 2)] });
  const weight = ctx.reshape(spread, [cOut, last, cIn, ...others], [cOut * last, cIn, ...others, 1]);
  const ones = others.map(() => 1);
  const none = others.map(() => 0);
  const along = ctx.emit('Conv', [rows, weight], {
    strides: [...a.strides.slice(0, -1), 1],
    pads: [...a.pads.slice(0, r - 1), 0, ...a.pads.slice(r, -1), 0],
    dilations: [...a.dilations.slice(0, -1), 1],
    group: 1,
  });
  const taps = new Float32Array(cOut * last * last).map((_, i) => Number(Math.floor(i / last) % last === i % last));
  const sum = ctx.float(taps, [cOut, last, ...ones, last]);
  return ctx.emit('Conv', bias === undefined ? [along, sum] : [along, sum, bias], {
    strides: [...ones, 1],
    pads: [...none, a.pads[r - 1]!, ...none, a.pads[2 * r - 1]!],
    dilations: [...ones, a.dilations[r - 1]!],
    group: cOut,
  });
}

function typeOf(y: ValueType): ValueType {
  return { shape: y.shape, dtype: y.dtype };
}

/**
 * The weight gradient as a sum of outer products over positions, dW[t] = Σ_p x[p + t] ⊗ dY[p]. Along an axis of stride 1 the
 * kernel's shifts can as well be moved to dY: with q = p + t, Σ_q x[q] ⊗ dY[q - t]. A side with T shifts is copied T times.
 */
function weightGradient(a: ConvAttrs, x: Shape, dY: Shape, dW: ValueType) {
  const kernel = dW.shape.slice(2);
  const r = kernel.length;
  const g = a.groups;
  const [perIn, perOut] = [x[1]! / g, dY[1]! / g];
  const reach = a.pads.map((p, i) => a.dilations[i % r]! * (kernel[i % r]! - 1) - p);
  const free = kernel.map((k, s) => k > 1 && a.strides[s] === 1 && reach[s]! >= 0 && reach[s + r]! >= 0);
  const onY = cheapestSides(kernel, free, perIn, perOut);
  const space = kernel.map((_, s) => (onY[s] ? x[s + 2]! : dY[s + 2]!));
  const side = (y: boolean): Taps => ({
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
    /** Both with the positions last; each side's channels come before its taps. */
    factors: (ctx: Lowering, [vx, vy]: readonly Lowered[], lead: Lowered['lead']) => ({
      x: patches(ctx, vx!, lead, g, xTaps),
      y: patches(ctx, vy!, lead, g, yTaps),
    }),
    finish(ctx: Lowering, product: string, lead: Lowered['lead']): Lowered {
      const m = ctx.leadSize(lead);
      // [m, g, cIn, taps of x, cOut, taps of y] -> [m, g, cOut, cIn, taps]; an axis has its taps on one side, 1 on the other.
      const open = [m, g, perIn, ...xTaps.kernel, perOut, ...yTaps.kernel];
      const flat = [m, g, perIn * sizeOf(xTaps.kernel), perOut * sizeOf(yTaps.kernel)];
      const [atX, atY] = [3, 4 + r];
      const taps = kernel.map((_, s) => (onY[s] ? atY : atX) + s);
      const ones = kernel.map((_, s) => (onY[s] ? atX : atY) + s);
      const perm = [0, 1, 3 + r, 2, ...taps, ...ones];
      const name = ctx.emit('Transpose', [ctx.reshape(product, flat, open)], { perm });
      const dims = [m, g, perOut, perIn, ...kernel, ...kernel.map(() => 1)];
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

/** An addition of Gram matrices takes about as long as this many multiplications of a matrix product per element (measured). */
const ADD_COST = 40;

/**
 * ⟨patch[p], patch[q]⟩ = Σ_t ⟨x[p + t], x[q + t]⟩: the Gram matrix of all patches is that of the pixels, added up over the taps
 * with both of its sides shifted alike. No patch is ever made. An axis at a time: Σ kernel sizes shifts, not their product.
 */
function pixelGram(a: ConvAttrs, x: Shape, dY: Shape, dW: Shape): Pick<Contraction, 'gram'> {
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

/** Σ over the taps of axis s of a Gram matrix [m, g, B·space, B·space] whose two sides move along that axis together. */
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

/** Shifts of one side of a contraction: at output position o, tap t reads o · step + t · dilation − shift. */
interface Taps {
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
function patches(ctx: Lowering, v: Lowered, lead: Lowered['lead'], g: number, taps: Taps): Factor {
  const size = ctx.leadSize(lead);
  const [b, channels, ...space] = v.shape as [number, number, ...number[]];
  const [positions, width] = [sizeOf(taps.out), (channels / g) * sizeOf(taps.kernel)];
  const rows = ctx.reshape(ctx.expanded(v, lead), [size, ...v.shape], [size * b, channels, ...space]);
  const copies = tapCopies(ctx, rows, channels, taps); // [size·b, channels·taps, ...out]
  const dims = [size * b, g * width, ...taps.out];
  const factor = [size, g, width, b * positions];
  if (b === 1) return { name: ctx.reshape(copies, dims, factor), positionsLast: true };
  const open = ctx.reshape(copies, dims, [size, b, g, width, positions]);
  const name = ctx.emit('Transpose', [open], { perm: [0, 2, 3, 1, 4] });
  return { name: ctx.reshape(name, [size, g, width, b, positions], factor), positionsLast: true };
}

/**
 * For each tap of the kernel the values of v [rows, channels, ...space] that it meets, side by side behind each channel. Done by a
 * convolution with kernels that are 1 at one tap: exact, one node, and faster than slices that are joined.
 */
function tapCopies(ctx: Lowering, v: string, channels: number, taps: Taps): string {
  const k = sizeOf(taps.kernel);
  if (k === 1 && taps.steps.every((s) => s === 1) && taps.shift.every((s) => s === 0)) return v;
  const kernels = new Float32Array(channels * k * k);
  for (let row = 0; row < channels * k; row++) {
    const tap = row % k;
    kernels[row * k + (taps.reverse ? k - 1 - tap : tap)] = 1;
  }
  const weight = ctx.float(kernels, [channels * k, 1, ...taps.kernel]);
  const { shift: pads, steps: strides, dilations } = taps;
  return ctx.emit('Conv', [v, weight], { pads, strides, dilations, group: channels });
}

function withDefaults(rank: number, o: ConvOptions): ConvAttrs {
  return {
    strides: o.strides ?? new Array<number>(rank).fill(1),
    pads: o.pads ?? new Array<number>(2 * rank).fill(0),
    dilations: o.dilations ?? new Array<number>(rank).fill(1),
    groups: o.groups ?? 1,
  };
}

/** Cross-correlation of x [b, cIn, ...in] with w [cOut, cIn / groups, ...kernel] plus bias [cOut], as in ONNX and PyTorch. */
export function conv(x: Value, w: Value, options: ConvOptions & { readonly bias?: Value } = {}): Value {
  const operands = options.bias ? [x, w, options.bias] : [x, w];
  return apply(convOps.Conv, operands, withDefaults(x.shape.length - 2, options));
}

/** The gradient of a convolution in its weight of shape `weight`: x [b, cIn, ...in] and dY [b, cOut, ...out] -> dW. */
export function convWeightGrad(x: Value, dY: Value, weight: Shape, options: ConvOptions = {}): Value {
  return apply(convOps.ConvWeightGrad, [x, dY], { ...withDefaults(x.shape.length - 2, options), shape: weight });
}

/**
 * Transposed convolution of x [b, cIn, ...in] with w [cIn, cOut / groups, ...kernel]: the adjoint of `conv` with the same
 * options. `outputPadding` adds size at the end of each spatial axis, as in ONNX and PyTorch.
 */
export function convTranspose(
  x: Value,
  w: Value,
  options: ConvOptions & { readonly outputPadding?: readonly number[] } = {},
): Value {
  const r = x.shape.length - 2;
  const attrs = withDefaults(r, options);
  const space = x.shape.slice(2).map((d, s) => {
    const span = attrs.dilations[s]! * (w.shape[s + 2]! - 1) + 1;
    const pad = attrs.pads[s]! + attrs.pads[s + r]!;
    return (d - 1) * attrs.strides[s]! + span - pad + (options.outputPadding?.[s] ?? 0);
  });
  return apply(convOps.ConvInputGrad, [x, w], { ...attrs, shape: [x.shape[0]!, w.shape[1]! * attrs.groups, ...space] });
}
