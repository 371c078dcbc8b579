// Elementwise ops with kinks and bounds, and what their gradient is where there is none: PyTorch's choice for the
// layers that these come from. docs/onnx.md has the table.

import type { OpRecord, Value } from '../graph/index.ts';
import { mapBroadcast } from '../tensor/ndarray.ts';
import { apply, uniformValue } from './apply.ts';
import {
  div,
  elementwise,
  elementwiseOps,
  equal,
  greater,
  less,
  mul,
  not,
  power,
  sqrt,
  step,
  sub,
  toFloat,
  where,
} from './elementwise.ts';
import { expandOps } from './expand.ts';
import { reduceOps } from './reduce.ts';
import { shapeOps } from './shape.ts';

interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** No number that a gradient matters for is beyond this. */
const FAR = 1e38;

const boundsOf = (attrs: { readonly [key: string]: unknown }) => attrs as unknown as Bounds;

export const kinkOps: Record<'Clamp' | 'FirstMax' | 'NegativePart' | 'Root', OpRecord> = {
  // min(max(x, low), high) for bounds that are numbers, infinite where there is none. At a bound the gradient is 0.
  Clamp: {
    name: 'Clamp',
    elementwise: true,
    type: ([x]) => x!,
    evaluate: ([x], attrs, out) => {
      const { low, high } = boundsOf(attrs);
      return mapBroadcast(out.shape, [x!], (v) => Math.min(Math.max(v, low), high));
    },
    gradient: (dY, node, y) => {
      const { low, high } = boundsOf(node.attrs);
      const above = low < -FAR ? undefined : step(low === 0 ? y : sub(y, low));
      const below = high > FAR ? undefined : step(sub(high, y));
      return [mul(dY, above && below ? mul(above, below) : (above ?? below ?? 1))];
    },
    lower: (ctx, [x], node) => {
      const { low, high } = boundsOf(node.attrs);
      const bounds = [low === -Infinity ? '' : ctx.float(low), ...(high === Infinity ? [] : [ctx.float(high)])];
      return { ...x!, name: ctx.emit('Clip', [x!.name, ...bounds]) };
    },
  },
  // The larger one; at a tie the first operand takes the gradient, as the first maximum of a pooling's window does.
  FirstMax: elementwise('FirstMax', 2, {
    f: Math.max,
    d: (dY, [a, b]) => [mul(dY, toFloat(not(less(a!, b!)))), mul(dY, toFloat(less(a!, b!)))],
    emit: (ctx, names) => ctx.emit('Max', names),
  }),
  // min(x, 0); at 0 the slope is that of the negative side.
  NegativePart: elementwise('NegativePart', 1, {
    f: (x) => Math.min(x, 0),
    d: (dY, [x]) => [mul(dY, sub(1, step(x!)))],
    emit: (ctx, [x]) => ctx.emit('Min', [x!, ctx.float(0)]),
  }),
  // The square root of a sum of squares, a norm: at 0 its gradient is 0, one of its subgradients, not 0 · ∞.
  Root: elementwise('Root', 1, {
    f: Math.sqrt,
    d: (dY, _x, y) => [where(greater(y, 0), div(mul(dY, 0.5), y), 0)],
    emit: (ctx, [x]) => ctx.emit('Sqrt', [x!]),
  }),
};

/** min(max(x, low), high), either bound possibly infinite (ONNX Clip); the slope at a bound is 0. */
export function clamp(x: Value, low: number, high: number): Value {
  return low === -Infinity && high === Infinity ? x : apply(kinkOps.Clamp, [x], { low, high });
}

/**
 * The larger of two floats, broadcast as by `add`; of equals the first has the gradient, as in PyTorch's max pooling.
 */
export const firstMaximum = (a: Value, b: Value): Value => apply(kinkOps.FirstMax, [a, b]);
/** min(x, 0); the slope at 0 is 1, that of the negative side, as in PyTorch's leaky ReLU. */
export const negativePart = (x: Value): Value => apply(kinkOps.NegativePart, [x]);

/** √x of a sum of squares, a norm: its slope at 0 is 0, one of its subgradients, where that of `sqrt` is infinite. */
export const root = (x: Value): Value => apply(kinkOps.Root, [x]);

/** √x; as a norm where x is written as a sum of squares. The slope of any other root is infinite at 0. */
export const squareRoot = (x: Value): Value => (isSumOfSquares(x) ? root(x) : sqrt(x));

/**
 * x to a constant exponent below 1, which norms of other orders end with: as a norm where x is written as a sum of
 * powers.
 */
export function fractionalPower(x: Value, exponent: number): Value {
  if (exponent === 0.5) return squareRoot(x);
  if (!(exponent > 0 && exponent < 1 && isSumOfSquares(x))) return power(x, exponent);
  const none = equal(x, 0);
  return where(none, 0, power(where(none, 1, x), exponent));
}

const sumsOfSquares = new WeakMap<Value, boolean>();

/**
 * Whether x is made of products v · v and powers of |v| by sums, rearrangements and constant factors alone: a variance,
 * a squared norm.
 */
function isSumOfSquares(x: Value): boolean {
  const y = sumsOfSquares.get(x) ?? isNewSumOfSquares(x);
  sumsOfSquares.set(x, y);
  return y;
}

function isNewSumOfSquares(x: Value): boolean {
  if (x.source.kind !== 'node') return false;
  const { op, inputs } = x.source;
  const [a, b] = inputs as [Value, Value];
  const constant = (v: Value) => v.source.kind === 'constant' || uniformValue(v) !== undefined;
  if (op === elementwiseOps.Mul) {
    if (a === b || (constant(b) && isSumOfSquares(a)) || (constant(a) && isSumOfSquares(b))) return true;
    return isAbsolute(a) && isSumOfSquares(b); // |v|³
  }
  if (op === elementwiseOps.Pow) {
    const exponent = uniformValue(b) ?? 0;
    return exponent > 1 && (isAbsolute(a) || exponent % 2 === 0);
  }
  if (op === elementwiseOps.Div) return constant(b) && isSumOfSquares(a);
  if (op === elementwiseOps.Add) return isSumOfSquares(a) && isSumOfSquares(b);
  const rearranging: readonly OpRecord[] = [
    reduceOps.ReduceSum,
    expandOps.Expand,
    shapeOps.Reshape,
    shapeOps.Transpose,
    shapeOps.Slice,
  ];
  return rearranging.includes(op) && isSumOfSquares(a);
}

const isAbsolute = (x: Value): boolean => x.source.kind === 'node' && x.source.op === elementwiseOps.Abs;
