// Matrix products, and the sum of outer products that is their weight gradient.

import { GraphError } from '../errors.ts';
import type { Contraction, OpRecord, Value } from '../graph/index.ts';
import { broadcastStrides, ndarray, walk } from '../tensor/ndarray.ts';
import { broadcastTwo, shapeText, sizeOf } from '../tensor/shape.ts';
import { apply } from './apply.ts';
import { rowsFactor } from './contraction.ts';
import { mul } from './elementwise.ts';
import { expand } from './expand.ts';
import { hotGram } from './hot-gram.ts';
import { reduceSum, sumTo } from './reduce.ts';
import { concat, reshape, shapeOps, transpose } from './shape.ts';

export const linearOps = {
  // [..., p, k] × [..., k, o] -> [..., p, o]; the axes before broadcast.
  MatMul: {
    name: 'MatMul',
    takes: 'numbers',
    bilinear: true,
    type: ([a, b]) => {
      const [sa, sb] = [a!.shape, b!.shape];
      const batch = broadcastTwo(sa.slice(0, -2), sb.slice(0, -2));
      if (sa.length < 2 || sb.length < 2 || sa.at(-1) !== sb.at(-2) || !batch) {
        throw new GraphError(`MatMul: ${shapeText(sa)} × ${shapeText(sb)}`);
      }
      if (a!.dtype !== b!.dtype) throw new GraphError(`MatMul: of ${a!.dtype} and ${b!.dtype} values`);
      return { shape: [...batch, sa.at(-2)!, sb.at(-1)!], dtype: a!.dtype };
    },
    evaluate: ([a, b], _attrs, out) => {
      const [p, o, k] = [out.shape.at(-2)!, out.shape.at(-1)!, a!.shape.at(-1)!];
      const batch = out.shape.slice(0, -2);
      const y = ndarray(out.shape);
      const strides = [a!, b!].map((x) =>
        broadcastStrides(x.shape.slice(0, -2), batch).map((s) => s * x.shape.at(-2)! * x.shape.at(-1)!),
      );
      walk(batch, strides, (i, [atA, atB]) => {
        for (let r = 0; r < p; r++) {
          for (let c = 0; c < o; c++) {
            let sum = 0;
            for (let j = 0; j < k; j++) sum += a!.data[atA! + r * k + j]! * b!.data[atB! + j * o + c]!;
            y.data[(i * p + r) * o + c] = sum;
          }
        }
      });
      return y;
    },
    multiplications: (node, y) => sizeOf(y.shape) * node.inputs[0]!.shape.at(-1)!,
    gradient: (dY, node, _y, needs) => {
      const [a, b] = node.inputs as [Value, Value];
      return [needs[0] ? leftGradient(dY, a, b) : null, needs[1] ? rightGradient(dY, a, b) : null];
    },
    lower: (ctx, [a, b], _node, y) => {
      if (a!.lead === 'none' && b!.lead === 'none') {
        return { name: ctx.emit('MatMul', [a!.name, b!.name]), shape: y.shape, dtype: y.dtype, lead: 'none' };
      }
      const lead = a!.lead === 'none' ? b!.lead : a!.lead;
      const rank = y.shape.length;
      // A matrix without lead on the right multiplies all rows at once, whatever stands before them.
      const flat = b!.lead === 'none' && b!.shape.length === 2;
      if (flat && a!.shape[0] === 1) {
        // Stored without its first axis, as its result is.
        return { name: ctx.emit('MatMul', [a!.name, b!.name]), shape: y.shape, dtype: y.dtype, lead };
      }
      const aFull = ctx.full(a!);
      const widen = (x: typeof a, name: string) => {
        const own = [x!.lead === 'none' ? 1 : ctx.leadSize(lead), ...x!.shape];
        const ones = new Array<number>(rank - x!.shape.length).fill(1);
        return ctx.reshape(name, own, [own[0]!, ...ones, ...x!.shape]);
      };
      const name = flat
        ? ctx.emit('MatMul', [aFull, b!.name])
        : ctx.emit('MatMul', [widen(a, aFull), widen(b, ctx.full(b!))]);
      return ctx.stored(name, [ctx.leadSize(lead), ...y.shape], y, lead);
    },
  },

  // x [p, i], y [p, o] -> Σ_p x[p, :] ⊗ y[p, :], [i, o].
  OuterSum: {
    name: 'OuterSum',
    type: ([x, y]) => {
      if (x!.shape.length !== 2 || y!.shape.length !== 2 || x!.shape[0] !== y!.shape[0]) {
        throw new GraphError(`OuterSum: ${shapeText(x!.shape)} and ${shapeText(y!.shape)} are not [p, i] and [p, o]`);
      }
      return { shape: [x!.shape[1]!, y!.shape[1]!], dtype: 'float' };
    },
    evaluate: ([x, y], _attrs, out) => {
      const z = ndarray(out.shape);
      const [i, o] = out.shape as [number, number];
      for (let p = 0; p < x!.shape[0]!; p++) {
        for (let a = 0; a < i; a++) {
          for (let b = 0; b < o; b++) z.data[a * o + b]! += x!.data[p * i + a]! * y!.data[p * o + b]!;
        }
      }
      return z;
    },
    gradient: (dZ, node, _z, needs) => {
      const [x, y] = node.inputs as [Value, Value];
      return [needs[0] ? matmul(y, transpose(dZ)) : null, needs[1] ? matmul(x, dZ) : null];
    },
    lower: (ctx, [x, y], _node, z) => {
      if (x!.lead === 'none' && y!.lead === 'none') {
        const xT = ctx.emit('Transpose', [x!.name], { perm: [1, 0] });
        return { name: ctx.emit('MatMul', [xT, y!.name]), shape: z.shape, dtype: z.dtype, lead: 'none' };
      }
      const lead = x!.lead === 'none' ? y!.lead : x!.lead;
      const xT = ctx.emit('Transpose', [ctx.full(x!)], { perm: [0, 2, 1] });
      const name = ctx.emit('MatMul', [xT, ctx.full(y!)]);
      return ctx.stored(name, [ctx.leadSize(lead), ...z.shape], z, lead);
    },
    scaled: (node, _z, axis, mixed) => {
      const [x, y] = node.inputs as [Value, Value];
      const columns = mixed ? mixedColumns : scaledColumns;
      return (by) => {
        const [own, other] = axis === 0 ? columns(x, y, by) : columns(y, x, by);
        return axis === 0 ? outerSum(own, other) : outerSum(other, own);
      };
    },
    squaresAlong: (node, axis) => {
      const [x, y] = node.inputs as [Value, Value];
      const [own, other] = axis === 0 ? [x, y] : [y, x];
      // Σ_b (Σ_p x[p, a] y[p, b])² = Σ_p x[p, a] ((Y Yᵀ) X)[p, a]
      return reduceSum(mul(own, matmul(matmul(other, transpose(other)), own)), [0]);
    },
    contraction: (node, z): Contraction => {
      const [p, i, o] = [node.inputs[0]!.shape[0]!, z.shape[0]!, z.shape[1]!];
      return {
        count: 1,
        p,
        i,
        o,
        ...hotGram(node.inputs[0]!, node.inputs[1]!),
        factors: (ctx, [x, y]) => ({ x: rowsFactor(ctx, x!), y: rowsFactor(ctx, y!) }),
        finish: (ctx, product, m) => ctx.stored(product, [m, 1, i, o], z, 'group'),
        arrange: (ctx, value) => ctx.reshape(value, z.shape, [1, i, o]),
        sides: { i: [0], o: [1] },
      };
    },
  },
} satisfies Record<string, OpRecord>;

/** Factors of the same sum of outer products with the columns of `own` mixed by a matrix. */
const mixedColumns = (own: Value, other: Value, by: Value): [Value, Value] => [matmul(own, transpose(by)), other];

/**
 * Factors of the same sum of outer products with the columns of `own` multiplied: one-hot rows stay as they are, and
 * the rows of `other` that they stand beside are multiplied by the number at their place.
 */
function scaledColumns(own: Value, other: Value, by: Value): [Value, Value] {
  const { source } = own;
  const joined = source.kind === 'node' && source.op === shapeOps.Concat && source.attrs.axis === 0;
  const parts = joined ? source.inputs : [own];
  const pick = (part: Value) =>
    part.source.kind === 'node' ? part.source.op.pick?.(part.source, reshape(by, [-1, 1])) : undefined;
  const picked = parts.map(pick); // [p, 1] each
  if (picked.every((rows) => rows === undefined)) return [mul(own, by), other];
  const ones = (part: Value) => expand(own.arena.constant(1), [part.shape[0]!, 1]);
  const beside = parts.map((part, k) => picked[k] ?? ones(part));
  const scaled = parts.map((part, k) => (picked[k] ? part : mul(part, by)));
  return [concat(scaled, 0), mul(other, concat(beside, 0))];
}

/** dA of A·B. With a plain matrix A under a batch of B, the batch joins the positions of one sum of outer products. */
function leftGradient(dY: Value, a: Value, b: Value): Value {
  if (a.shape.length === 2 && b.shape.length > 2) {
    const rows = (x: Value) => reshape(lastTwoSwapped(x), [-1, x.shape.at(-2)!]);
    return outerSum(rows(dY), rows(b));
  }
  if (a.shape.length === 2 && b.shape.length === 2 && a.lead === 'none' && dY.lead !== 'none') {
    return outerSum(transpose(dY), transpose(b));
  }
  return sumTo(matmul(dY, lastTwoSwapped(b)), a.shape);
}

function rightGradient(dY: Value, a: Value, b: Value): Value {
  if (b.shape.length === 2) {
    return outerSum(reshape(a, [-1, a.shape.at(-1)!]), reshape(dY, [-1, dY.shape.at(-1)!]));
  }
  return sumTo(matmul(lastTwoSwapped(a), dY), b.shape);
}

function lastTwoSwapped(x: Value): Value {
  const rank = x.shape.length;
  return transpose(
    x,
    [...x.shape.keys()].map((a) => (a === rank - 1 ? rank - 2 : a === rank - 2 ? rank - 1 : a)),
  );
}

/**
 * Matrix product over the last two axes, [..., p, k] × [..., k, o] (ONNX MatMul); a vector [k] on the left counts as
 * [1, k]. Throws a GraphError where the shapes do not fit.
 */
export function matmul(a: Value, b: Value): Value {
  if (a.shape.length === 1) return reshape(matmul(reshape(a, [1, -1]), b), [b.shape.at(-1)!]);
  return apply(linearOps.MatMul, [a, b]);
}

/**
 * Σ_p x[p, :] ⊗ y[p, :] of x [p, i] and y [p, o]: [i, o], the weight gradient of a linear layer. Throws a GraphError
 * for other shapes.
 */
export function outerSum(x: Value, y: Value): Value {
  return apply(linearOps.OuterSum, [x, y]);
}
