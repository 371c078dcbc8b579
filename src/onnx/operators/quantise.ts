// ONNX's steps between numbers and their roundings on a grid. Training lets gradients through such a step, a file does
// not say so: none go through.

import type { Value } from '../../graph/index.ts';
import { add, clamp, div, mul, reshape, round, sub, toFloat, toInt } from '../../ops/index.ts';
import { shapeText, sizeOf } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import type { NodeContext, Operators } from './context.ts';
import { axisOf } from './shape.ts';

const { FLOAT, INT8, INT16, INT32, UINT8, UINT16 } = TensorProto_DataType;

const ranges: Readonly<Record<number, readonly [low: number, high: number]>> = {
  [UINT8]: [0, 255],
  [INT8]: [-128, 127],
  [UINT16]: [0, 65535],
  [INT16]: [-32768, 32767],
};

/** A scale or zero point: one number, or one for each place of an axis. */
function alongAxis(ctx: NodeContext, i: number): Value {
  const [x, v] = [ctx.in(0), ctx.in(i)];
  if (ctx.int('block_size', 0) !== 0) ctx.refuse('scales of blocks');
  if (sizeOf(v.shape) === 1) return reshape(v, []);
  const axis = axisOf(ctx, x, ctx.int('axis', 1));
  if (v.shape.length !== 1 || v.shape[0] !== x.shape[axis]) {
    ctx.refuse(`operand ${i} is ${shapeText(v.shape)}, expected one number or ${x.shape[axis]}`);
  }
  return reshape(v, [-1, ...x.shape.slice(axis + 1).map(() => 1)]);
}

/** round(x / scale) + zero point, within the range of the type. */
function quantised(ctx: NodeContext): Value {
  const zero = ctx.maybe(2) ? alongAxis(ctx, 2) : undefined;
  const type = ctx.maybe(2) ? ctx.element(2) : ctx.int('output_dtype', UINT8) || UINT8;
  const name = TensorProto_DataType[type ?? 0]?.toLowerCase() ?? `type ${type}`;
  const [low, high] = ranges[type ?? 0] ?? ctx.refuse(`steps to ${name}, expected int8, uint8, int16 or uint16`);
  ctx.declare(0, type);
  const steps = round(div(toFloat(ctx.in(0)), alongAxis(ctx, 1)));
  return toInt(clamp(zero ? add(steps, toFloat(zero)) : steps, low, high));
}

/** (x − zero point) · scale. */
function dequantised(ctx: NodeContext): Value {
  const type = ctx.element(0);
  if (type !== undefined && ranges[type] === undefined && type !== INT32) {
    ctx.refuse(`steps of ${TensorProto_DataType[type]?.toLowerCase()}, expected int8, uint8, int16, uint16 or int32`);
  }
  ctx.declare(0, ctx.element(1) ?? FLOAT);
  const x = toFloat(ctx.in(0));
  const zero = ctx.maybe(2) ? toFloat(alongAxis(ctx, 2)) : undefined;
  return mul(zero ? sub(x, zero) : x, alongAxis(ctx, 1));
}

export const quantisingOperators = {
  QuantizeLinear: quantised,
  DequantizeLinear: dequantised,
} satisfies Operators;
