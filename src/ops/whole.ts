// Ops of whole numbers alone: bit by bit, and the quotient.

import type { OpRecord, Value } from '../graph/index.ts';
import { apply } from './apply.ts';
import { elementwise } from './elementwise.ts';

const ofBits = (name: string, f: (a: bigint, b: bigint) => bigint): OpRecord =>
  elementwise(name, 2, { takes: 'numbers', f: (a, b) => Number(f(BigInt(a), BigInt(b))) });

export const wholeOps = {
  // Bit by bit, of whole numbers with a sign.
  BitwiseAnd: ofBits('BitwiseAnd', (a, b) => a & b),
  BitwiseOr: ofBits('BitwiseOr', (a, b) => a | b),
  BitwiseXor: ofBits('BitwiseXor', (a, b) => a ^ b),
  // Of whole numbers, towards zero. As −((−a) / b): ONNX Runtime's optimiser makes c / b of c · (1 / b), of whole
  // numbers too.
  IntDiv: elementwise('IntDiv', 2, {
    takes: 'numbers',
    f: (a, b) => Math.trunc(a / b),
    emit: (ctx, [a, b]) => ctx.emit('Neg', [ctx.emit('Div', [ctx.emit('Neg', [a!]), b!])]),
  }),
} satisfies Record<string, OpRecord>;

/** a & b bit by bit, of whole numbers in two's complement, broadcast as by `add` (ONNX BitwiseAnd). */
export const bitAnd = (a: Value, b: Value): Value => apply(wholeOps.BitwiseAnd, [a, b]);
/** a | b, see `bitAnd` (ONNX BitwiseOr). */
export const bitOr = (a: Value, b: Value): Value => apply(wholeOps.BitwiseOr, [a, b]);
/** a ^ b, see `bitAnd` (ONNX BitwiseXor). */
export const bitXor = (a: Value, b: Value): Value => apply(wholeOps.BitwiseXor, [a, b]);

/** The quotient of whole numbers, cut off towards zero; broadcast as by `add` (ONNX Div). */
export const intDiv = (a: Value, b: Value): Value => apply(wholeOps.IntDiv, [a, b]);
