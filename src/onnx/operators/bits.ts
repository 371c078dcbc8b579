// ONNX's operators on the bits of whole numbers. All are computed as int64, in which numbers of the other types are
// what they are.

import type { Value } from '../../graph/index.ts';
import { bitAnd, bitOr, bitXor, equal, intDiv, mul, remainder, sub, where } from '../../ops/index.ts';
import { broadcastTwo, shapeText, sizeOf } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import type { NodeContext, Operator, Operators } from './context.ts';

const { BFLOAT16, DOUBLE, FLOAT, FLOAT16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 } =
  TensorProto_DataType;

/** Bits of the types, and whether they have a sign. */
const widths: Readonly<Record<number, readonly [bits: number, signed: boolean]>> = {
  [INT8]: [8, true],
  [INT16]: [16, true],
  [INT32]: [32, true],
  [INT64]: [64, true],
  [UINT8]: [8, false],
  [UINT16]: [16, false],
  [UINT32]: [32, false],
  [UINT64]: [64, false],
};

function typeOf(ctx: NodeContext): { readonly bits: number; readonly signed: boolean } {
  const [bits, signed] = widths[ctx.element(0) ?? ctx.element(1) ?? INT64] ?? ctx.refuse('numbers that are not whole');
  return { bits, signed };
}

/** What is known, number by number. */
function folded(ctx: NodeContext, f: (a: bigint, b: bigint) => bigint): Value | undefined {
  const operands = ctx.inputs;
  const numbers = operands.map((v) => ctx.importer.known(v));
  const shape = operands
    .map((v) => v.shape)
    .reduce<readonly number[] | undefined>((s, next) => s && broadcastTwo(s, next), []);
  if (!shape) return ctx.refuse(operands.map((v) => shapeText(v.shape)).join(' and '));
  if (!numbers.every((data) => data !== undefined)) return undefined;
  const { bits, signed } = typeOf(ctx);
  const wrap = signed ? BigInt.asIntN : BigInt.asUintN;
  const at = (v: Value, data: Float64Array, flat: number) => {
    let [rest, place, stride] = [flat, 0, 1];
    for (let a = shape.length - 1, k = v.shape.length - 1; a >= 0; a--, k--) {
      const index = rest % shape[a]!;
      rest = Math.floor(rest / shape[a]!);
      if (k < 0) continue;
      if (v.shape[k] !== 1) place += index * stride;
      stride *= v.shape[k]!;
    }
    return BigInt(data[place]!);
  };
  const size = ctx.sized(sizeOf(shape), 'a number of elements', 2 ** 20);
  ctx.arena.spend(8 * size);
  const data = Array.from({ length: size }, (_, i) => {
    const [a, b] = operands.map((v, k) => at(v, numbers[k]!, i)) as [bigint, bigint];
    return Number(wrap(bits, f(a, b ?? 0n)));
  });
  return ctx.constant(data, shape, 'int');
}

const binary =
  (onNumbers: (a: bigint, b: bigint) => bigint, onValues: (a: Value, b: Value) => Value): Operator =>
  (ctx) => {
    const known = folded(ctx, onNumbers);
    if (known) return known;
    typeOf(ctx);
    return onValues(ctx.in(0), ctx.in(1));
  };

/** −x − 1 with a sign, the largest number less x without one. */
function complement(ctx: NodeContext): Value {
  const known = folded(ctx, (a) => ~a);
  if (known) return known;
  const { bits, signed } = typeOf(ctx);
  if (!signed && bits > 32)
    ctx.refuse(`the bits of whole numbers of ${bits} bits that depend on the inputs, expected 32 at most`);
  return sub(ctx.constant(signed ? -1 : 2 ** bits - 1, [], 'int'), ctx.in(0));
}

function shifted(ctx: NodeContext): Value {
  const direction = ctx.text('direction');
  if (direction !== 'LEFT' && direction !== 'RIGHT') ctx.refuse(`direction '${direction}', expected LEFT or RIGHT`);
  const { bits } = typeOf(ctx);
  const known = folded(ctx, (a, b) => (b >= BigInt(bits) ? 0n : direction === 'LEFT' ? a << b : a >> b));
  if (known) return known;
  const [x, by] = [ctx.in(0), ctx.in(1)];
  const most = bits - 1;
  const powers = powersOfTwo(ctx, by);
  if (direction === 'RIGHT') {
    const y = intDiv(x, powers);
    ctx.within(by, 0, most, y);
    return y;
  }
  // What leaves the type is cut off before it leaves ours; of 64 bits nothing may leave what is exact here.
  const kept = bits > 32 ? x : remainder(x, intDiv(ctx.constant(2 ** bits, [], 'int'), powers));
  const y = mul(kept, powers);
  ctx.within(by, 0, most, y);
  if (bits > 32) ctx.within(y, 0, 2 ** 53, y);
  return y;
}

/** 2 to a whole number from 0 to 63: a product of those of its bits. */
function powersOfTwo(ctx: NodeContext, by: Value): Value {
  const whole = (n: number) => ctx.constant(n, [], 'int');
  const known = ctx.importer.known(by);
  if (known) {
    if (known.some((b) => !(b >= 0 && b < 53))) ctx.refuse(`shifts by ${Math.max(...known)}, expected less than 53`);
    return ctx.constant(
      known.map((b) => 2 ** b),
      by.shape,
      'int',
    );
  }
  return [0, 1, 2, 3, 4, 5]
    .map((k) => where(equal(bitAnd(by, whole(2 ** k)), whole(0)), whole(1), whole(2 ** Math.min(2 ** k, 52))))
    .reduce((a, b) => mul(a, b));
}

/** The same bits as numbers of another type of their size, which only constants have. */
function reinterpreted(ctx: NodeContext): Value {
  const to = ctx.int('to');
  const from = ctx.element(0) ?? (ctx.in(0).dtype === 'float' ? FLOAT : INT64);
  const data = ctx.known(0);
  ctx.declare(0, to);
  const name = (type: number) => TensorProto_DataType[type]?.toLowerCase() ?? `type ${type}`;
  const bytes: Readonly<Record<number, number>> = {
    [FLOAT]: 4,
    [DOUBLE]: 8,
    ...Object.fromEntries(Object.entries(widths).map(([k, [b]]) => [k, b / 8])),
  };
  const size = bytes[from];
  if (size === undefined || size !== bytes[to]) return ctx.refuse(`${name(from)} as ${name(to)}`);
  const view = new DataView(new ArrayBuffer(8));
  const bits = size * 8;
  const out = data.map((v) => {
    if (from === FLOAT) view.setFloat32(0, v, true);
    else if (from === DOUBLE) view.setFloat64(0, v, true);
    else view.setBigUint64(0, BigInt.asUintN(64, BigInt(v)), true);
    if (to === FLOAT) return view.getFloat32(0, true);
    if (to === DOUBLE) return view.getFloat64(0, true);
    const raw = BigInt.asUintN(bits, view.getBigUint64(0, true));
    return Number(widths[to]![1] ? BigInt.asIntN(bits, raw) : raw);
  });
  const floats: readonly number[] = [FLOAT, DOUBLE, FLOAT16, BFLOAT16];
  return ctx.constant(out, ctx.in(0).shape, floats.includes(to) ? 'float' : 'int');
}

export const bitOperators = {
  BitShift: shifted,
  BitwiseAnd: binary((a, b) => a & b, bitAnd),
  BitwiseOr: binary((a, b) => a | b, bitOr),
  BitwiseXor: binary((a, b) => a ^ b, bitXor),
  BitwiseNot: complement,
  BitCast: reinterpreted,
} satisfies Operators;
