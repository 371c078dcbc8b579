// ONNX's attention and rotary embedding (opset 23).

import type { Value } from '../../graph/index.ts';
import {
  add,
  concat,
  div,
  equal,
  expand,
  matmul,
  mul,
  reshape,
  slice,
  softmax,
  sub,
  tanh,
  transpose,
  where,
} from '../../ops/index.ts';
import { shapeText } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';
import { oneHot } from './shape.ts';

/** softmax(Q Kᵀ · scale + mask) V, queries of several heads to a head of keys where they are fewer. */
function attention(ctx: NodeContext): Value {
  for (const i of [4, 5]) if (ctx.maybe(i)) ctx.refuse('past keys and values');
  if (ctx.maybe(6)) ctx.refuse('lengths of padded keys');
  const flat = ctx.in(0).shape.length === 3;
  const [qHeads, kvHeads] = flat
    ? [ctx.int('q_num_heads'), ctx.int('kv_num_heads')]
    : [ctx.in(0).shape[1]!, ctx.in(1).shape[1]!];
  const heads = (v: Value, count: number): Value => {
    if (!flat) return v;
    const [n, length, width] = v.shape as [number, number, number];
    return transpose(reshape(v, [n, length, count, width / count]), [0, 2, 1, 3]);
  };
  const spread = (v: Value): Value => {
    const [n, count, length, width] = v.shape as [number, number, number, number];
    if (count === qHeads) return v;
    const times = qHeads / count;
    return reshape(expand(reshape(v, [n, count, 1, length, width]), [n, count, times, length, width]), [
      n,
      qHeads,
      length,
      width,
    ]);
  };
  const q = heads(ctx.in(0), qHeads);
  const k = spread(heads(ctx.in(1), kvHeads));
  const v = spread(heads(ctx.in(2), kvHeads));
  const [n, , queries, width] = q.shape as [number, number, number, number];
  const keys = k.shape[2]!;
  let logits = mul(matmul(q, transpose(k, [0, 1, 3, 2])), ctx.float('scale', 1 / Math.sqrt(width)));
  const cap = ctx.float('softcap', 0);
  const capped = () => (cap > 0 ? mul(cap, tanh(div(logits, cap))) : logits);
  logits = capped();
  const mask = ctx.maybe(3);
  if (mask) logits = mask.dtype === 'bool' ? where(mask, logits, OUT) : add(logits, mask);
  if (ctx.int('is_causal', 0) === 1) {
    const allowed = Array.from({ length: queries * keys }, (_, at) => Number(at % keys <= Math.floor(at / keys)));
    logits = where(equal(ctx.constant(allowed, [queries, keys]), 1), logits, OUT);
  }
  const y = matmul(softmax(logits, 3), v);
  return flat ? reshape(transpose(y, [0, 2, 1, 3]), [n, queries, qHeads * v.shape[3]!]) : y;
}

/** Instead of −∞, which would make NaN of a row without any key. */
const OUT = -1e30;

/** Pairs of numbers turned by an angle that depends on the position. */
function rotary(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const flat = x.shape.length === 3;
  const count = flat ? ctx.int('num_heads') : x.shape[1]!;
  const [n, length] = flat ? [x.shape[0]!, x.shape[1]!] : [x.shape[0]!, x.shape[2]!];
  const split = flat ? transpose(reshape(x, [n, length, count, x.shape[2]! / count]), [0, 2, 1, 3]) : x;
  const width = split.shape[3]!;
  const turned = ctx.int('rotary_embedding_dim', 0) || width;
  const half = turned / 2;
  const cache = (i: number): Value => {
    const table = ctx.in(i);
    const positions = ctx.maybe(3);
    // [n, T, half] from a table of all positions, or given as it is.
    const rows = positions
      ? reshape(matmul(reshape(oneHot(ctx, positions, table.shape[0]!), [n * length, -1]), table), [n, 1, length, half])
      : reshape(table, [n, 1, length, half]);
    return rows;
  };
  if (ctx.in(1).shape.at(-1) !== half)
    ctx.refuse(`cos_cache ${shapeText(ctx.in(1).shape)} for ${turned} numbers to turn`);
  const [cos, sin] = [cache(1), cache(2)];
  const part = slice(split, 3, 0, turned);
  const interleaved = ctx.int('interleaved', 0) === 1;
  const [a, b] = interleaved
    ? [slice(part, 3, 0, turned, 2), slice(part, 3, 1, turned, 2)]
    : [slice(part, 3, 0, half), slice(part, 3, half, turned)];
  const [re, im] = [sub(mul(a, cos), mul(b, sin)), add(mul(a, sin), mul(b, cos))];
  const rotated = interleaved
    ? reshape(
        concat(
          [re, im].map((v) => reshape(v, [...v.shape, 1])),
          4,
        ),
        part.shape,
      )
    : concat([re, im], 3);
  const y = turned === width ? rotated : concat([rotated, slice(split, 3, turned, width)], 3);
  return flat ? reshape(transpose(y, [0, 2, 1, 3]), x.shape) : y;
}

export const attentionOperators: Operators = {
  Attention: attention,
  RotaryEmbedding: rotary,
};
