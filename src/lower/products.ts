// The product of a weight gradient's two factors, made once, and the scalars that are read from it.

import { type Contraction, type Factor, type Lowered, nameOf, type Value } from '../graph/index.ts';
import { joinGroups, outerProduct } from '../ops/contraction.ts';
import { dotsWithRow } from '../ops/dots.ts';
import { sumOfSquares, sumOverGroups } from '../ops/group.ts';
import { mixedMatrices } from '../ops/kronecker.ts';
import type { OnnxBuilder } from './builder.ts';
import { type GroupedProduct, isSeparable, mixingCosts, mixingsOf, type Plan, type PlannedNorm } from './norm-plan.ts';

/** Scalars of products, by the value of the gradient that they are of. */
export class Products {
  readonly #ctx: OnnxBuilder;
  /** Gradients of which more than one scalar is wanted. */
  readonly #shared: ReadonlySet<Value>;
  readonly #made = new Map<Value, string>();
  /** Of those that are mixed, whether they are better made as YᵀX. */
  readonly #flipped = new Map<Value, boolean>();

  constructor(ctx: OnnxBuilder, plan: Plan) {
    this.#ctx = ctx;
    const counts = new Map<Value, number>();
    for (const norm of plan.norms.values()) {
      if (!norm.gram && !isSeparable(norm, ctx.group)) counts.set(norm.sum, (counts.get(norm.sum) ?? 0) + 1);
      if (norm.kind !== 'mixed') continue;
      const { i, o } = mixingsOf(norm, nameOf);
      const { straight, flipped } = mixingCosts(i, o);
      if (straight !== flipped) this.#flipped.set(norm.sum, flipped < straight);
    }
    this.#shared = new Set([...counts].flatMap(([sum, count]) => (count > 1 ? [sum] : [])));
  }

  /**
   * ‖XᵀY‖², ⟨XᵀY, other⟩, ‖other·XᵀY‖² or that of the product mixed by matrices, from the product in whatever order its
   * elements are.
   */
  norm(planned: PlannedNorm, inputs: readonly Lowered[], others: readonly Lowered[]): Lowered {
    const { contraction: c, kind } = planned;
    const ctx = this.#ctx;
    const [other] = others;
    if (isSeparable(planned, ctx.group)) return separatedNorm(ctx, c, inputs, other!);
    const product = this.#product(planned, inputs);
    const whole = { shape: [c.count, c.i, c.o], lead: 'group' } as const;
    if (kind === 'square') return sumOfSquares(ctx, product, whole);
    const flipped = this.#isFlipped(planned);
    if (kind === 'mixed') {
      const { i, o } = mixingsOf(planned, (root) => others[planned.others.indexOf(root)]!.name);
      const matrices = { name: product, shape: [ctx.leadSize('group'), 1, ...(flipped ? [c.o, c.i] : [c.i, c.o])] };
      return sumOfSquares(
        ctx,
        flipped ? mixedMatrices(ctx, matrices, o, i) : mixedMatrices(ctx, matrices, i, o),
        whole,
      );
    }
    const arranged = c.arrange(ctx, other!.name);
    const like = flipped ? ctx.emit('Transpose', [arranged], { perm: [0, 2, 1] }) : arranged;
    const order = [c.count, ...(flipped ? [c.o, c.i] : [c.i, c.o])];
    if (kind === 'weighted') {
      return sumOfSquares(ctx, ctx.emit('Mul', [product, ctx.reshape(like, order, [1, ...order])]), whole);
    }
    const [m, size] = [ctx.leadSize('group'), c.count * c.i * c.o];
    const rows = ctx.reshape(product, [m, ...order], [m, size]);
    const name = dotsWithRow(ctx, ctx.reshape(like, order, [1, size]), rows, m);
    return { name, shape: [], dtype: 'float', lead: 'group' };
  }

  #isFlipped(planned: PlannedNorm): boolean {
    return this.#flipped.get(planned.sum) ?? isFlipped(planned);
  }

  #product(planned: PlannedNorm, inputs: readonly Lowered[]): string {
    const { sum } = planned;
    const found = this.#made.get(sum);
    if (found !== undefined) return found;
    const product = groupedProduct(this.#ctx, planned, inputs, this.#isFlipped(planned));
    if (this.#shared.has(sum)) this.#made.set(sum, product);
    return product;
  }
}

/**
 * Σ w (x ⊗ y)² of a single position as (x²)ᵀ w (y²), for all examples one matrix product: no product of each is made.
 */
function separatedNorm(ctx: OnnxBuilder, c: Contraction, inputs: readonly Lowered[], roots: Lowered): Lowered {
  const { x, y } = c.factors(ctx, inputs);
  const n = ctx.leadSize('group');
  const flat = (f: Factor, width: number) =>
    ctx.reshape(f.name, [n, 1, ...(f.positionsLast ? [width, 1] : [1, width])], [n, width]);
  const squared = (name: string) => ctx.emit('Mul', [name, name]);
  // In units of the largest root, which y takes: squares of weights and of small gradients may leave float32, those of
  // their products do not.
  const all = ctx.reshape(c.arrange(ctx, roots.name), [1, c.i, c.o], [c.i, c.o]);
  const largest = ctx.emit('Max', [
    ctx.emit('ReduceMax', [all, ctx.ints([0, 1])], { keepdims: 1 }),
    ctx.float(2 ** -126),
  ]);
  const weights = squared(ctx.emit('Div', [all, largest]));
  const scaled = squared(ctx.emit('Mul', [flat(y, c.o), largest]));
  const rows = ctx.emit('MatMul', [squared(flat(x, c.i)), weights]);
  const name = ctx.emit('ReduceSum', [ctx.emit('Mul', [rows, scaled]), ctx.ints([1])], { keepdims: 1 });
  return { name: ctx.reshape(name, [n, 1], [n]), shape: [], dtype: 'float', lead: 'group' };
}

/**
 * Whether a product whose order does not matter is made as YᵀX [o, i]: ONNX Runtime's are up to 1.5 times as fast with
 * few rows as with few columns.
 */
const isFlipped = ({ contraction: c }: GroupedProduct): boolean => c.i > c.o;

/** XᵀY [m, count, i, o], summed over each group's examples; if `flip` transposed, [m, count, o, i]. */
export function groupedProduct(
  ctx: OnnxBuilder,
  grouped: GroupedProduct,
  inputs: readonly Lowered[],
  flip = false,
): string {
  const { contraction: c } = grouped;
  const product = (x: Factor, y: Factor) => (flip ? outerProduct(ctx, y, x) : outerProduct(ctx, x, y));
  const { x, y } = c.factors(ctx, inputs);
  const toMove = (x.positionsLast ? c.i : 0) + (y.positionsLast ? c.o : 0);
  if (ctx.group > 1 && c.i * c.o < c.p * toMove) {
    // Adding up the examples' products moves less memory than bringing their positions together.
    const size = c.count * c.i * c.o;
    const each = ctx.reshape(product(x, y), [ctx.examples, c.count, c.i, c.o], [ctx.examples, size]);
    const order = flip ? [c.o, c.i] : [c.i, c.o];
    return ctx.reshape(
      sumOverGroups(ctx, each, size),
      [ctx.leadSize('group'), size],
      [ctx.leadSize('group'), c.count, ...order],
    );
  }
  return product(joinGroups(ctx, x, c.count, c.p, c.i), joinGroups(ctx, y, c.count, c.p, c.o));
}
