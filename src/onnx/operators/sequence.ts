// ONNX's operators on sequences of tensors, as far as lengths and places do not depend on the inputs: PyTorch's
// exporter writes split, chunk and unbind so where it does not optimise.

import type { Value } from '../../graph/index.ts';
import { concat, reshape, slice } from '../../ops/index.ts';
import { normaliseAxis, shapeText } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import { type NodeContext, type Operators, Sequence } from './context.ts';
import { axisOf } from './shape.ts';

const sequence = (ctx: NodeContext, elements: readonly Value[]): Value => new Sequence(ctx.arena, elements);

/**
 * Into pieces of sizes that are a list, of one size with a smaller last one, or of one element each, whose axis may go.
 */
function split(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const axis = axisOf(ctx, x, ctx.int('axis', 0));
  const length = x.shape[axis]!;
  const sizes = ctx.maybe(1) ? pieces(ctx, length) : new Array<number>(length).fill(1);
  if (sizes.some((size) => size < 0) || sizes.reduce((sum, size) => sum + size, 0) !== length) {
    ctx.refuse(`pieces of ${sizes.join(', ')} of an axis of ${length} in ${shapeText(x.shape)}`);
  }
  let start = 0;
  const parts = sizes.map((size) => {
    const part = slice(x, axis, start, start + size);
    start += size;
    return part;
  });
  const dropped = !ctx.maybe(1) && ctx.int('keepdims', 1) === 0;
  const shape = x.shape.filter((_, a) => a !== axis);
  return sequence(ctx, dropped ? parts.map((part) => reshape(part, shape)) : parts);
}

function pieces(ctx: NodeContext, length: number): number[] {
  const given = [...ctx.known(1)];
  if (ctx.in(1).shape.length > 0) return given;
  const [size] = given;
  if (size === undefined || size < 1) return ctx.refuse(`pieces of ${size} elements`);
  return Array.from({ length: Math.ceil(length / size) }, (_, k) => Math.min(size, length - k * size));
}

/** A place counted from the start, or from the end where it is negative; `most` is the last one that there may be. */
function placeOf(ctx: NodeContext, operand: number, length: number, most: number): number {
  const place = ctx.known(operand)[0]!;
  if (place < -length || place > most) ctx.refuse(`place ${place} in a sequence of ${length}`);
  return place < 0 ? place + length : place;
}

function at(ctx: NodeContext): Value {
  const elements = ctx.sequence(0);
  return elements[placeOf(ctx, 1, elements.length, elements.length - 1)]!;
}

function insert(ctx: NodeContext): Value {
  const elements = ctx.sequence(0);
  const { length } = elements;
  return sequence(ctx, elements.toSpliced(ctx.maybe(2) ? placeOf(ctx, 2, length, length) : length, 0, ctx.in(1)));
}

function erase(ctx: NodeContext): Value {
  const elements = ctx.sequence(0);
  const { length } = elements;
  if (length === 0) ctx.refuse('nothing to take out of an empty sequence');
  return sequence(ctx, elements.toSpliced(ctx.maybe(1) ? placeOf(ctx, 1, length, length - 1) : length - 1, 1));
}

/** Joins elements along an axis that they have, or along a new one. */
function join(ctx: NodeContext): Value {
  const elements = ctx.sequence(0);
  const [first] = elements;
  if (!first) return ctx.refuse('an empty sequence');
  const asked = ctx.int('axis');
  if (ctx.int('new_axis', 0) === 0) return concat(elements, axisOf(ctx, first, asked));
  const rank = first.shape.length + 1;
  const axis = normaliseAxis(asked, rank) ?? ctx.refuse(`axis ${asked} of a result of ${rank} axes`);
  const widened = elements.map((v) => reshape(v, [...v.shape.slice(0, axis), 1, ...v.shape.slice(axis)]));
  return concat(widened, axis);
}

export const sequenceOperators = {
  ConcatFromSequence: join,
  SequenceAt: at,
  SequenceConstruct: (ctx) => sequence(ctx, ctx.inputs),
  SequenceEmpty: (ctx) => sequence(ctx, []),
  SequenceErase: erase,
  SequenceInsert: insert,
  SequenceLength: (ctx) => ctx.constant(ctx.sequence(0).length, [], 'int'),
  SplitToSequence: split,
  // What may be nothing: a value, or an operand that is left out.
  Optional: (ctx) => (ctx.count > 0 ? ctx.any(0) : ctx.refuse('an optional value that is none')),
  OptionalGetElement: (ctx) => ctx.any(0),
  OptionalHasElement: (ctx) => {
    ctx.declare(0, TensorProto_DataType.BOOL);
    return ctx.constant(Number(ctx.given(0)), [], 'bool');
  },
} satisfies Operators;
