// ONNX's attention and rotary embedding (opset 23).

import { defined } from '../../defined.ts';
import type { Value } from '../../graph/index.ts';
import {
  add,
  concat,
  div,
  expand,
  greater,
  less,
  matmul,
  mul,
  not,
  reshape,
  slice,
  softmax,
  sub,
  tanh,
  transpose,
  where,
} from '../../ops/index.ts';
import { type Shape, sameShape, shapeText } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';
import { oneHot } from './gather.ts';

/**
 * softmax(Q Kᵀ · scale + mask) V, queries of several heads to a head of keys where they are fewer; keys and values with
 * those of the past before them, and the scores at the stage that `qk_matmul_output_mode` asks for.
 */
function attention(ctx: NodeContext): Value[] {
  const ranks = [0, 1, 2].map((i) => ctx.in(i).shape.length);
  const flat = ranks[0] === 3;
  if (ranks.some((r) => r !== (flat ? 3 : 4))) {
    ctx.refuse(`${[0, 1, 2].map((i) => shapeText(ctx.in(i).shape)).join(', ')}, expected three or four axes each`);
  }
  const [qHeads, kvHeads] = flat
    ? [ctx.int('q_num_heads'), ctx.int('kv_num_heads')]
    : [ctx.in(0).shape[1]!, ctx.in(1).shape[1]!];
  for (const [name, found] of [
    ['q_num_heads', qHeads],
    ['kv_num_heads', kvHeads],
  ] as const) {
    if (ctx.int(name, found) !== found) ctx.refuse(`${name} ${ctx.int(name)}, its operand has ${found}`);
  }
  if (qHeads < 1 || kvHeads < 1 || qHeads % kvHeads !== 0) {
    ctx.refuse(`${qHeads} heads of queries for ${kvHeads} of keys`);
  }
  const heads = (v: Value, count: number): Value => {
    if (!flat) return v;
    if (v.shape[2]! % count !== 0) ctx.refuse(`${shapeText(v.shape)} for ${count} heads`);
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
  const present = [1, 2].map((i) => withPast(ctx, heads(ctx.in(i), kvHeads), i + 3)) as [Value, Value];
  const [k, v] = present.map(spread) as [Value, Value];
  const [n, , queries, width] = q.shape as [number, number, number, number];
  const keys = k.shape[2]!;
  const scores = mul(matmul(q, transpose(k, [0, 1, 3, 2])), ctx.float('scale', 1 / Math.sqrt(width)));
  const cap = ctx.float('softcap', 0);
  // Before the mask: after it, the cap would let masked keys back in (the corrected specification, onnx#7867).
  const capped = cap > 0 ? mul(cap, tanh(div(scores, cap))) : scores;
  const { bias, allowed } = masks(ctx, [n, qHeads, queries, keys]);
  const biased = bias ? add(capped, bias) : capped;
  const logits = allowed.reduce((l, open) => where(open, l, OUT), biased);
  // A query without any key gets zeros, not an average of what it must not see.
  const weights = allowed.reduce((p, open) => where(open, p, 0), softmax(logits, 3));
  const y = matmul(weights, v);
  const joined = flat ? reshape(transpose(y, [0, 2, 1, 3]), [n, queries, qHeads * v.shape[3]!]) : y;
  const results = [joined, ...present];
  if ((ctx.node.outputs[3] ?? '') === '') return results;
  const stages = [scores, capped, allowed.reduce((l, open) => where(open, l, LOWEST), biased), weights];
  const mode = ctx.int('qk_matmul_output_mode', 0);
  return [...results, stages[mode] ?? ctx.refuse(`qk_matmul_output_mode ${mode}, expected 0 to 3`)];
}

/** Keys or values [n, heads, T, width] behind those of operand `past`, which are as many heads as wide. */
function withPast(ctx: NodeContext, v: Value, past: number): Value {
  const before = ctx.maybe(past);
  if ((ctx.maybe(4) === undefined) !== (ctx.maybe(5) === undefined)) ctx.refuse('past keys or past values alone');
  if (!before) return v;
  ctx.expectShape(past, [v.shape[0]!, v.shape[1]!, before.shape[2] ?? 0, v.shape[3]!]);
  return concat([before, v], 2);
}

/**
 * What is added to scores [n, heads, queries, keys], and which of them count: by the mask, by the order, by the lengths
 * of padded keys.
 */
function masks(ctx: NodeContext, shape: Shape): { readonly bias?: Value; readonly allowed: readonly Value[] } {
  const [n, , queries, keys] = shape as [number, number, number, number];
  const allowed: Value[] = [];
  const lengths = ctx.maybe(6); // [n]
  if (lengths) {
    ctx.expectShape(6, [n]);
    if (ctx.maybe(4)) ctx.refuse('past keys and lengths of padded ones');
  }
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
  let bias: Value | undefined;
  const given = ctx.maybe(3);
  if (given) {
    const mask = lengths ? widened(given, keys) : given;
    if (mask.shape.at(-1) !== keys) ctx.refuse(`a mask ${shapeText(mask.shape)} for ${keys} keys`);
    const open = mask.dtype === 'bool' ? mask : greater(mask, LOWEST);
    if (mask.dtype !== 'bool') bias = where(open, mask, 0);
    allowed.push(open);
  }
  const each = ctx.constant(numbers(keys), [keys], 'int');
  const length = lengths && reshape(lengths, [n, 1, 1, 1]);
  if (length) allowed.push(less(each, length));
  const [causal, left, right] = [
    ctx.int('is_causal', 0) === 1,
    ctx.int('left_window_size', -1),
    ctx.int('right_window_size', -1),
  ];
  if (causal || left >= 0 || right >= 0) {
    // Query i stands behind those of the past, or at the end of the cache that the lengths are of.
    const offset = ctx.maybe(4)?.shape[2] ?? 0;
    // ONNX Runtime lets the one query see all of them.
    if (offset > 0 && queries === 1 && keys > offset + 1) {
      ctx.refuse('one causal query for several keys behind those of the past, of which readings differ');
    }
    const whole = (count: number) => ctx.constant(count, [], 'int');
    const places = add(ctx.constant(numbers(queries), [queries, 1], 'int'), whole(offset));
    const place = length ? add(places, sub(length, whole(queries))) : places;
    if (causal) allowed.push(not(greater(each, place)));
    if (right >= 0) allowed.push(not(greater(each, add(place, whole(right)))));
    if (left >= 0) allowed.push(not(less(each, sub(place, whole(left)))));
  }
  return { ...defined({ bias }), allowed };
}

/** A mask for fewer keys than there are, of which the others do not count. */
function widened(mask: Value, keys: number): Value {
  const found = mask.shape.at(-1) ?? keys;
  if (found >= keys) return mask;
  const rest = [...mask.shape.slice(0, -1), keys - found];
  const closed = mask.dtype === 'bool' ? mask.arena.constant(0, [], 'bool') : mask.arena.constant(-Infinity);
  return concat([mask, expand(closed, rest)], mask.shape.length - 1);
}

/** Instead of −∞, which would make NaN of a row without any key. */
const OUT = -1e30;

/** The lowest float32. Masks mean −∞ by it, as by −∞ itself. */
const LOWEST = -3.4028234663852886e38;

/** Pairs of numbers turned by an angle that depends on the position. */
function rotary(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const flat = x.shape.length === 3;
  if (!flat && x.shape.length !== 4) ctx.refuse(`${shapeText(x.shape)}, expected three or four axes`);
  const count = flat ? ctx.int('num_heads') : x.shape[1]!;
  if (!flat && ctx.int('num_heads', 0) > 0 && ctx.int('num_heads') !== count) {
    ctx.refuse(`num_heads ${ctx.int('num_heads')}, its operand has ${count}`);
  }
  if (flat && (count < 1 || x.shape[2]! % count !== 0)) ctx.refuse(`${shapeText(x.shape)} for ${count} heads`);
  const [n, length] = flat ? [x.shape[0]!, x.shape[1]!] : [x.shape[0]!, x.shape[2]!];
  const split = flat ? transpose(reshape(x, [n, length, count, x.shape[2]! / count]), [0, 2, 1, 3]) : x;
  const width = split.shape[3]!;
  const turned = ctx.int('rotary_embedding_dim', 0) || width;
  if (turned < 0 || turned > width || turned % 2 !== 0) ctx.refuse(`${turned} of ${width} numbers to turn in pairs`);
  const half = turned / 2;
  const positions = ctx.maybe(3);
  /** [n, 1, T, half] from a table of all positions, or given as it is. */
  const cache = (i: number): Value => {
    const table = ctx.in(i);
    const expected = positions ? [table.shape[0]!, half] : [n, length, half];
    if (!sameShape(table.shape, expected)) {
      ctx.refuse(`operand ${i} is ${shapeText(table.shape)}, expected ${shapeText(expected)}`);
    }
    if (!positions) return reshape(table, [n, 1, length, half]);
    const most = table.shape[0]!;
    const bad = ctx.importer.known(positions)?.find((p) => p < 0 || p >= most);
    if (bad !== undefined) ctx.refuse(`position ${bad} of ${most}`);
    return reshape(matmul(reshape(oneHot(ctx, positions, most), [n * length, most]), table), [n, 1, length, half]);
  };
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

export const attentionOperators = {
  Attention: attention,
  RotaryEmbedding: rotary,
} satisfies Operators;
