// Convolution and the two other faces of the same trilinear form Σ x·w·y: its adjoint in x (transposed convolution)
// and its adjoint in w (the weight gradient). Each one's gradients are the other two.

import { GraphError } from '../errors.ts';
import type { Attrs, Contraction, Lowered, OpRecord, Value } from '../graph/index.ts';
import { mixedNdarray, ndarray } from '../tensor/ndarray.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { outerProduct } from './contraction.ts';
import { attrsOf, type ConvAttrs, onnxAttrs } from './conv-attrs.ts';
import { flipWeight, lowerWithWeight } from './conv-lowering.ts';
import { pixelGram, type TapRoots, weightGradient } from './conv-weight.ts';
import { mul } from './elementwise.ts';
import { reduceSum } from './reduce.ts';
import { mixedAlong } from './scaled.ts';
import { reshape, transpose } from './shape.ts';

/** x [b, cIn, ...in], w [cOut, cIn / groups, ...kernel], y [b, cOut, ...out]; 1, 2 or 3 spatial axes. */
export interface ConvOptions {
  readonly strides?: readonly number[];
  /** Zeros before each spatial axis, then after each, as in ONNX. */
  readonly pads?: readonly number[];
  readonly dilations?: readonly number[];
  readonly groups?: number;
}

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

  // x, dY -> dW of `shape`; more operands are matrices that mix it along the axes `mixed` of the kernel.
  ConvWeightGrad: {
    name: 'ConvWeightGrad',
    type: ([x, dY], attrs) => {
      check('ConvWeightGrad', attrsOf(attrs), x!.shape, attrs.shape as Shape, dY!.shape);
      return { shape: attrs.shape as Shape, dtype: 'float' };
    },
    evaluate: ([x, dY, ...roots], attrs, out) => {
      const dW = ndarray(out.shape);
      visit(attrsOf(attrs), x!.shape, dW.shape, dY!.shape, (xi, wi, yi) => {
        dW.data[wi]! += x!.data[xi]! * dY!.data[yi]!;
      });
      return mixedAxesOf(attrs).reduce((v, axis, k) => mixedNdarray(v, axis, roots[k]!), dW);
    },
    gradient: (ddW, node, _dW, needs) => {
      const [x, dY, ...roots] = node.inputs as [Value, Value, ...Value[]];
      if (needs.slice(2).some((need) => need)) throw new GraphError('ConvWeightGrad: no gradient of what mixes taps');
      const attrs = baseAttrs(node.attrs);
      const unmixed = mixedAxesOf(node.attrs).reduce((v, axis, k) => mixedAlong(v, axis, transpose(roots[k]!)), ddW);
      return [
        needs[0] ? apply(convOps.ConvInputGrad, [dY, unmixed], { ...attrs, shape: x.shape }) : null,
        needs[1] ? apply(convOps.Conv, [x, unmixed], attrs) : null,
        ...roots.map(() => null),
      ];
    },
    lower: (ctx, inputs, node, dW) => {
      const parts = weightGradient(attrsOf(node.attrs), node.inputs[0]!.shape, node.inputs[1]!.shape, dW);
      const lead = inputs.some((x) => x.lead === 'example')
        ? 'example'
        : (inputs.find((x) => x.lead !== 'none')?.lead ?? 'none');
      const { x, y } = parts.factors(ctx, inputs, lead, tapRoots(node.attrs, inputs));
      return parts.finish(ctx, outerProduct(ctx, x, y), lead);
    },
    scaled: ({ inputs, attrs }, _dW, axis, mixed) => {
      const [x, dY, ...roots] = inputs as [Value, Value, ...Value[]];
      if (axis > 1) {
        const before = mixedAxesOf(attrs);
        if (!mixed || before.includes(axis)) return undefined;
        // Shifted copies of an operand are made by kernels, which mix them as well.
        return (by) => apply(convOps.ConvWeightGrad, [...inputs, by], { ...attrs, mixed: [...before, axis] });
      }
      const operand = axis === 0 ? dY : x;
      // Channels of one group are products with no input of another.
      if ((axis === 1 || mixed) && attrsOf(attrs).groups > 1) return undefined;
      const ofChannels = operand.shape.map((d, k) => (k === 1 ? d : 1));
      return (by) => {
        const scaled = mixed ? mixedAlong(operand, 1, by) : mul(operand, reshape(by, ofChannels));
        return apply(convOps.ConvWeightGrad, axis === 0 ? [x, scaled, ...roots] : [scaled, dY, ...roots], attrs);
      };
    },
    contraction: (node, dW): Contraction => {
      const parts = weightGradient(attrsOf(node.attrs), node.inputs[0]!.shape, node.inputs[1]!.shape, dW);
      const mixed = mixedAxesOf(node.attrs).length > 0;
      return {
        ...parts,
        ...(mixed ? {} : pixelGram(attrsOf(node.attrs), node.inputs[0]!.shape, node.inputs[1]!.shape, dW.shape)),
        factors: (ctx, inputs) => parts.factors(ctx, inputs, 'example', tapRoots(node.attrs, inputs)),
        finish: (ctx, product) => parts.finish(ctx, product, 'group'),
      };
    },
  },
};

/** Of a convolution with results of shape `y`; of a weight [o, i, kernel] each result takes i·kernel. */
const products = (y: Shape, w: Shape) => sizeOf(y) * sizeOf(w.slice(1));

/** Axes of a weight gradient along which its taps are mixed, in the order of the matrices behind its two factors. */
const mixedAxesOf = ({ mixed }: Attrs): readonly number[] => (mixed as readonly number[] | undefined) ?? [];

const tapRoots = (attrs: Attrs, inputs: readonly Lowered[]): TapRoots =>
  new Map(mixedAxesOf(attrs).map((axis, k) => [axis, inputs[2 + k]!.name]));

function baseAttrs(attrs: Attrs): ConvAttrs {
  const { strides, pads, dilations, groups } = attrsOf(attrs);
  return { strides, pads, dilations, groups };
}

function withDefaults(rank: number, o: ConvOptions): ConvAttrs {
  return {
    strides: o.strides ?? new Array<number>(rank).fill(1),
    pads: o.pads ?? new Array<number>(2 * rank).fill(0),
    dilations: o.dilations ?? new Array<number>(rank).fill(1),
    groups: o.groups ?? 1,
  };
}

/**
 * Cross-correlation of x [b, cIn, ...in] with w [cOut, cIn / groups, ...kernel] plus bias [cOut], as in ONNX and
 * PyTorch.
 */
export function conv(x: Value, w: Value, options: ConvOptions & { readonly bias?: Value } = {}): Value {
  const operands = options.bias ? [x, w, options.bias] : [x, w];
  return apply(convOps.Conv, operands, withDefaults(x.shape.length - 2, options));
}

/** The gradient of a convolution in its weight of shape `weight`: x [b, cIn, ...in] and dY [b, cOut, ...out] -> dW. */
export function convWeightGrad(x: Value, dY: Value, weight: Shape, options: ConvOptions = {}): Value {
  return apply(convOps.ConvWeightGrad, [x, dY], { ...withDefaults(x.shape.length - 2, options), shape: weight });
}

/**
 * Transposed convolution of x [b, cIn, ...in] with w [cIn, cOut / groups, ...kernel]: the adjoint of `conv` with the
 * same options. `outputPadding` adds size at the end of each spatial axis, as in ONNX and PyTorch.
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
