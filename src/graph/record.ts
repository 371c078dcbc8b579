// What an op is: one record with its type rule, its value in float64, its gradient and its lowering, side by side.

import type { NdArray } from '../tensor/ndarray.ts';
import type { Shape } from '../tensor/shape.ts';
import type { Attrs, DType, Lead, NodeSource, Value, ValueType } from './value.ts';

/** An op. Passes read records and never compare names. */
export interface OpRecord {
  readonly name: string;

  /** The result's type from the operands'; throws GraphError where they do not fit. */
  type(inputs: readonly ValueType[], attrs: Attrs): ValueType;

  /** The result in float64, operands already checked by `type`. */
  evaluate(inputs: readonly NdArray[], attrs: Attrs, out: ValueType): NdArray;

  /**
   * Cotangents of the operands from the cotangent dY of the result y, as new values of the graph: one per operand, null
   * where the result does not vary smoothly with it. One may still have the shape that its operand was broadcast to:
   * differentiation sums it to the operand's. `needs[i]` is false where operand i's will not be read. Absent: the op
   * has no gradient, and differentiating through it is an error.
   */
  readonly gradient?: (dY: Value, node: NodeSource, y: Value, needs: readonly boolean[]) => readonly (Value | null)[];

  /** Emits ONNX for operands that have been lowered. */
  lower(ctx: Lowering, inputs: readonly Lowered[], node: NodeSource, y: Value): Lowered;

  /** What the result varies with, where that does not follow from the operands. */
  readonly lead?: Lead;

  /** The result is its (only) operand's elements, repeated by broadcasting. */
  readonly repeats?: boolean;

  /** Each element of the result is made of those at its place in the operands, which broadcast. */
  readonly elementwise?: boolean;

  /** Between the first operand and the others, values are made anew for the backward pass (`ops/recompute.ts`). */
  readonly recomputes?: boolean;

  /** The result's squared norm equals the first operand's: a permutation of its elements. */
  readonly isometric?: boolean;

  /**
   * The result is linear in each of its first two operands alone, but for whole numbers; a third, where there is one,
   * is added to it. So for an operand w that is a parameter, ⟨w, ∂ℓ/∂w⟩ can be read from the result and its cotangent.
   */
  readonly bilinear?: boolean;

  /**
   * What its operands may be: floats alone, unless it says that whole numbers are taken too, or truth values as well.
   */
  readonly takes?: 'numbers' | 'anything';
  /**
   * Multiplications that make the result of one example, where they are what takes the time: of convolutions and matrix
   * products.
   */
  readonly multiplications?: (node: NodeSource, y: Value) => number;

  /**
   * The result is [p, count] with a single 1 in each row: at these places, whole numbers [p]; those outside mean the
   * nearest.
   */
  readonly places?: (node: NodeSource) => Value;

  /** The rows of a table [count, d] that these ones pick, [p, d]: of ops that have `places`. */
  readonly pick?: (node: NodeSource, table: Value) => Value;

  /**
   * Of an op that is linear in its only operand: the axis of that whose slices are multiplied as those of the result
   * along this axis are. Undefined where there is none.
   */
  readonly axisBefore?: (node: NodeSource, y: Value, axis: number) => number | undefined;

  /**
   * Makes of a vector the result with every slice along an axis multiplied by that element of it, by multiplying the
   * operands: so a product that is never made can be scaled. Where slices are to be `mixed`, of a matrix [d, d] the
   * result with slice k replaced by Σ_l by[k, l] · slice l. Undefined where that does not go along this axis.
   */
  readonly scaled?: (node: NodeSource, y: Value, axis: number, mixed: boolean) => Scaler | undefined;

  /** Σ of the result's squares over all axes but one, [d], without the result. */
  readonly squaresAlong?: (node: NodeSource, axis: number) => Value;

  /** Present for the bilinear ops whose results are weight gradients: sums of outer products over positions. */
  readonly contraction?: (node: NodeSource, y: Value) => Contraction;
}

/** See `OpRecord.scaled`. */
export type Scaler = (by: Value) => Value;

/**
 * y = Xᵀ·Y with X [p, i] and Y [p, o] built from the op's two operands; `p` positions of one example.
 * With a sum over B examples the positions concatenate, which is why a group's gradient is one product as well.
 */
export interface Contraction {
  readonly p: number;
  readonly i: number;
  readonly o: number;
  /** How many such products stand side by side (the groups of a convolution). */
  readonly count: number;
  /** The Gram matrices of both factors, where there is a cheaper way to them than through the factors. */
  readonly gram?: {
    /** Multiplications for a group of this size, or what takes as long. */
    cost(group: number): number;
    /** The values that they are made from, where these are not the operands. */
    readonly from?: readonly Value[];
    /**
     * X·Xᵀ and Y·Yᵀ over each group's positions in one order, [m, count, B·p, B·p] both, from the operands or from
     * `from`.
     */
    lower(ctx: Lowering, inputs: readonly Lowered[]): readonly [string, string];
  };
  /** Emits both factors with the leading size n. */
  factors(ctx: Lowering, inputs: readonly Lowered[]): { readonly x: Factor; readonly y: Factor };
  /** From the products [m, count, i, o] to the result with lead 'group' (m of them). */
  finish(ctx: Lowering, product: string, m: number): Lowered;
  /** The other way round: a value of the result's shape without lead as [count, i, o]. */
  arrange(ctx: Lowering, value: string): string;
  /**
   * The axes of the result that lie along i and along o, in this order; undefined where there is more than one product.
   */
  readonly sides?: Readonly<Record<'i' | 'o', readonly number[]>> | undefined;
}

/** One side of a contraction, in the layout that was cheaper to make: a matrix product takes either. */
export interface Factor {
  readonly name: string;
  /** [n, count, i, p] if so, else [n, count, p, i] (o for the other side). */
  readonly positionsLast: boolean;
}

/** A value in the ONNX graph under construction. Storage: see Lowering. */
export interface Lowered {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly lead: Lead;
}

/** An attribute of an ONNX node: integers as numbers, text, a list of integers, or a float. */
export type OnnxAttr = number | string | readonly number[] | { readonly float: number };

/**
 * The ONNX graph under construction, as the ops' lowering rules see it.
 *
 * Storage: a value of one-example shape s is stored as s if its lead is 'none'. Otherwise it has a leading axis of n
 * examples or m groups, and a first axis of size 1 is dropped in its favour: [1, c, h, w] is stored as [n, c, h, w] and
 * [k] with k > 1 as [n, k]. So the batch of one that convolutions carry in the one-example graph costs nothing.
 */
export interface Lowering {
  /** Number of examples a run takes, and per group. */
  readonly examples: number;
  readonly group: number;
  /** Emits one node with one output and returns the output's name. */
  emit(op: string, inputs: readonly string[], attrs?: Readonly<Record<string, OnnxAttr>>): string;
  /** Emits one node with so many outputs and returns their names. */
  emitAll(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, OnnxAttr>>,
    count: number,
  ): readonly string[];
  /** The name of a float constant. */
  float(data: ArrayLike<number> | number, shape?: Shape): string;
  /** The name of the zero of a type. */
  zero(dtype: DType): string;
  /** The name of a constant of int64s, one axis. */
  ints(values: readonly number[]): string;
  /** The name of an int64 constant without axes. */
  int(value: number): string;
  /** n for 'example', m for 'group', 1 for 'none'. */
  leadSize(lead: Lead): number;
  /** The dimensions in which a value of this shape and lead is stored. */
  storage(shape: Shape, lead: Lead): number[];
  /** Reshapes a stored tensor. */
  reshape(name: string, from: Shape, to: Shape): string;
  /** The name of `v` with dimensions [lead, ...shape], or [1, ...shape] where it has no lead; nothing dropped. */
  full(v: Lowered): string;
  /** The name of `v` repeated to dimensions [size of lead, ...shape]. */
  expanded(v: Lowered, lead: Lead): string;
  /** Takes a tensor of dimensions `dims` (same elements in order) as the value of this type. */
  stored(name: string, dims: Shape, type: ValueType, lead: Lead): Lowered;
  /** Operands of an elementwise op aligned for NumPy broadcasting to the result's storage. */
  aligned(inputs: readonly Lowered[], outShape: Shape): { readonly names: string[]; readonly lead: Lead };
}
