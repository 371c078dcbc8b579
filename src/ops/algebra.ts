// Simplifications: a value in; the same numbers in fewer or smaller steps out, or undefined where there is nothing to
// gain. `rewrite.ts` has the table of them.

import type { NodeSource, OpRecord, Value } from '../graph/index.ts';
import { broadcastTwo, sameShape, sizeOf } from '../tensor/shape.ts';
import { apply, uniformValue } from './apply.ts';
import { add, div, elementwiseOps, mul, neg, silu, sqrt, square, sub } from './elementwise.ts';
import { expand } from './expand.ts';
import { groupOps, sqNorm } from './group.ts';
import { axesOf, reduceOps } from './reduce.ts';
import { reshape, shapeOps, transpose } from './shape.ts';

type Node = NodeSource;

/** The first two operands. */
const two = (node: Node) => node.inputs as readonly [Value, Value];

/** The operands of x where `op` makes it. */
const operandsOf = (x: Value, op: OpRecord): readonly Value[] | undefined =>
  x.source.kind === 'node' && x.source.op === op ? x.source.inputs : undefined;

const negated = (x: Value): Value | undefined => operandsOf(x, elementwiseOps.Neg)?.[0];

/** The operand that is left of y where the other is `neutral` throughout; `right`: only behind the operator. */
export const withoutNeutral =
  (neutral: number, right = false) =>
  (y: Value, node: Node): Value | undefined => {
    const [a, b] = two(node);
    if (!right && uniformValue(a) === neutral) return expand(b, y.shape);
    return uniformValue(b) === neutral ? expand(a, y.shape) : undefined;
  };

/** Of a sum, a + (−b) and (−a) + b. */
export function sumOfNegative(_y: Value, node: Node): Value | undefined {
  const [a, b] = two(node);
  const [minusA, minusB] = [negated(a), negated(b)];
  if (minusB) return sub(a, minusB);
  return minusA && sub(b, minusA);
}

/** Of a difference, a − (−b). */
export function differenceOfNegative(_y: Value, node: Node): Value | undefined {
  const [a, b] = two(node);
  const minusB = negated(b);
  return minusB && add(a, minusB);
}

/** (−a) · (−b). */
export function productOfNegatives(_y: Value, node: Node): Value | undefined {
  const [a, b] = two(node).map(negated);
  return a && b && mul(a, b);
}

/** −1 · x, where −1 is not what repeats x. */
export function timesMinusOne(y: Value, node: Node): Value | undefined {
  const [a, b] = two(node);
  if (uniformValue(a) === -1 && sameShape(b.shape, y.shape)) return neg(b);
  return uniformValue(b) === -1 && sameShape(a.shape, y.shape) ? neg(a) : undefined;
}

/** −(−x). */
export const doubleNegative = (_y: Value, node: Node): Value | undefined => negated(node.inputs[0]!);

/** x · σ(x). */
export function sigmoidGate(_y: Value, node: Node): Value | undefined {
  const [a, b] = two(node);
  if (operandsOf(b, elementwiseOps.Sigmoid)?.[0] === a) return silu(a);
  return operandsOf(a, elementwiseOps.Sigmoid)?.[0] === b ? silu(b) : undefined;
}

/** (x · s) · t where s and t are both much smaller than x. */
export function scalesFirst(_y: Value, node: Node): Value | undefined {
  const [a, b] = two(node);
  return rescaled(a, b) ?? rescaled(b, a);
}

function rescaled(product: Value, t: Value): Value | undefined {
  const [x, s] = operandsOf(product, elementwiseOps.Mul) ?? [];
  const small = (v: Value) => 4 * sizeOf(v.shape) <= sizeOf(product.shape) && sizeOf(v.shape) > 0;
  if (!x || !s || !small(t)) return undefined;
  if (small(s) && sameShape(x.shape, product.shape)) return mul(x, mul(s, t));
  return small(x) && sameShape(s.shape, product.shape) ? mul(s, mul(x, t)) : undefined;
}

/**
 * An operand that is repeated to a shape to which the other would broadcast it: not both, where neither would be left
 * to say the shape.
 */
export function repeatedOperand(_y: Value, node: Node): Value | undefined {
  const [a, b] = two(node);
  const left = bare(a, b);
  const right = bare(b, left);
  return left === a && right === b ? undefined : apply(node.op, [left, right], node.attrs);
}

function bare(a: Value, b: Value): Value {
  if (a.source.kind !== 'node' || !a.source.op.repeats) return a;
  const x = a.source.inputs[0]!;
  const [joint, full] = [broadcastTwo(x.shape, b.shape), broadcastTwo(a.shape, b.shape)];
  return joint && full && sameShape(joint, full) ? x : a;
}

/** A power with a small exponent, the same for all elements. */
export function smallPower(y: Value, node: Node): Value | undefined {
  const [a, b] = two(node);
  if (!sameShape(a.shape, y.shape)) return undefined;
  switch (uniformValue(b)) {
    case 0:
      return expand(a.arena.constant(1), a.shape);
    case 1:
      return a;
    case 2:
      return square(a);
    case 3:
      return mul(a, square(a));
    case 0.5:
      return sqrt(a);
    case -1:
      return div(1, a);
    default:
      return undefined;
  }
}

/** A value of a shape, given another. */
export function reshapeTwice(y: Value, node: Node): Value | undefined {
  const x = operandsOf(node.inputs[0]!, shapeOps.Reshape)?.[0];
  return x && reshape(x, y.shape);
}

/** Axes that are permuted twice. */
export function transposeTwice(_y: Value, node: Node): Value | undefined {
  const { source } = node.inputs[0]!;
  if (source.kind !== 'node' || source.op !== shapeOps.Transpose) return undefined;
  const inner = source.attrs.perm as readonly number[];
  return transpose(
    source.inputs[0]!,
    (node.attrs.perm as readonly number[]).map((p) => inner[p]!),
  );
}

/** Σ x · s where s does not vary along the axes. */
export function sumOfScaled(_y: Value, node: Node): Value | undefined {
  const [rest, factor] = withoutFactors(node.inputs[0]!, axesOf(node.attrs));
  return factor && mul(apply(reduceOps.ReduceSum, [rest], node.attrs), factor);
}

/** How far a product of products is looked through: each level may double the work. */
const DEEPEST = 8;

/** A product without the factors that do not vary along `axes`, and those. */
function withoutFactors(x: Value, axes: readonly number[], depth = 0): readonly [Value, Value | undefined] {
  const [a, b] = operandsOf(x, elementwiseOps.Mul) ?? [];
  if (!a || !b || depth >= DEEPEST || sizeOf(axes.map((axis) => x.shape[axis]!)) === 1) return [x, undefined];
  const constant = (v: Value) => {
    const shift = x.shape.length - v.shape.length;
    return axes.every((axis) => axis < shift || v.shape[axis - shift] === 1);
  };
  const covers = (v: Value) => sameShape(v.shape, x.shape);
  for (const [left, right] of [
    [a, b],
    [b, a],
  ] as const) {
    if (constant(right) && covers(left)) {
      const [rest, factor] = withoutFactors(left, axes, depth + 1);
      return [rest, factor ? mul(factor, right) : right];
    }
    const [inner, factor] = covers(left) ? withoutFactors(left, axes, depth + 1) : [left, undefined];
    if (factor && covers(inner)) return [mul(inner, right), factor];
  }
  return [x, undefined];
}

/** Normalisation in as many groups as axis `first` is long, of channels that a reshape has folded into these. */
export function normaliseFolded(y: Value, node: Node): Value | undefined {
  const x = node.inputs[0]!;
  const inner = operandsOf(x, shapeOps.Reshape)?.[0];
  const { first, groups } = node.attrs as { readonly first: number; readonly groups: number };
  if (!inner || groups !== x.shape[first] || inner.shape.length <= first) return undefined;
  const same = x.shape.slice(0, first).every((d, i) => d === inner.shape[i]);
  if (!same || inner.shape[first]! % groups !== 0) return undefined;
  return reshape(apply(node.op, [inner], node.attrs), y.shape);
}

/** The squared norm of elements in another order, or among zeros. */
export function normOfMoved(_y: Value, node: Node): Value | undefined {
  const x = node.inputs[0]!;
  if (x.source.kind !== 'node') return undefined;
  const { op, inputs } = x.source;
  return op === shapeOps.Place || (op.isometric && !isProduct(x)) ? sqNorm(inputs[0]!) : undefined;
}

/** The squared norm of pieces side by side, some of which are products. */
export function normOfPieces(_y: Value, node: Node): Value | undefined {
  const pieces = operandsOf(node.inputs[0]!, shapeOps.Concat);
  if (!pieces?.some(isProduct)) return undefined;
  return pieces.map(sqNorm).reduce((sum, v) => add(sum, v));
}

/** Whether v is a sum over a group of a contraction, its elements in whatever order. */
function isProduct(v: Value): boolean {
  if (v.source.kind !== 'node') return false;
  const [inner] = v.source.inputs as [Value];
  if (v.source.op.isometric) return isProduct(inner);
  const { source } = inner;
  return v.source.op === groupOps.GroupSum && source.kind === 'node' && source.op.contraction !== undefined;
}
