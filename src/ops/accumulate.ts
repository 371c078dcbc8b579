// The shares of a cotangent in, one from each consumer of a value; their sum out, in fewer and smaller steps than
// adding one to another.

import type { NodeSource, Value } from '../graph/index.ts';
import { uniformValue } from './apply.ts';
import { convOps, convWeightGrad } from './conv.ts';
import { add } from './elementwise.ts';
import { groupOps, groupSum } from './group.ts';
import { linearOps, outerSum } from './linear.ts';
import { reduceSum } from './reduce.ts';
import { concat, place, placed, reshape, shapeOps } from './shape.ts';

/** Sums over groups are taken of the sum from this many on: a step of a long recurrence each. */
const MANY = 4;

/**
 * A sum whose terms come one by one, all of one shape.
 *
 * Pieces among zeros become one piece where they stand side by side: that is how the parts of a split come back
 * together. Sums of outer products become one, their positions side by side, Σ_k X_kᵀ·Y_k = [X_1; X_2; …]ᵀ·[Y_1; Y_2;
 * …]: a weight that is used several times (a recurrence, an embedding that is the head as well) has the gradient of one
 * that is used once, at more positions, and its norm may be had from Gram matrices (`lower/norm-plan.ts`). Anything
 * else is added up as it comes, so that it need not be kept.
 */
export class Sum {
  #plain: Value | undefined;
  #waiting: Value[] = [];

  add(share: Value): void {
    if (placed(share) || termOf(share) || isGroupSum(share)) this.#waiting.push(share);
    else this.#plain = this.#plain ? add(this.#plain, share) : share;
  }

  /** Of all that was added, at least one. */
  get value(): Value {
    const all = [...(this.#plain ? [this.#plain] : []), ...this.#waiting];
    const some = all.filter((v) => uniformValue(v) !== 0);
    const [first, ...more] = manyGroupSums(sideBySide(sumsOfProducts(some.length > 0 ? some : all.slice(0, 1))));
    const sum = more.reduce((total, v) => add(total, v), first!);
    this.#plain = sum;
    this.#waiting = [];
    return sum;
  }

  /**
   * What is to be made of what was added so far, so that nothing else of it is kept: the last of pieces side by side,
   * or the sum.
   */
  settled(): Value[] {
    const [last, ...before] = this.#waiting.slice(-2).toReversed();
    const piece = last && placed(last);
    return piece && !this.#plain && sideBySide([last, ...before]).length === 1 ? [piece.x] : [this.value];
  }
}

/** Shares that are placed among zeros, next to one another along an axis, as one. */
function sideBySide(shares: readonly Value[]): Value[] {
  let rest = [...shares];
  const rank = shares[0]!.shape.length;
  for (let axis = 0; axis < rank && rest.length > 1; axis++) {
    const rows = new Map<string, Piece[]>();
    const others: Value[] = [];
    rest.forEach((v, order) => {
      const p = placed(v);
      if (!p) others.push(v);
      else {
        const elsewhere = p.starts.map((s, a) => (a === axis ? '' : `${s}+${p.x.shape[a]}`)).join();
        rows.set(elsewhere, [...(rows.get(elsewhere) ?? []), { ...p, v, order }]);
      }
    });
    if ([...rows.values()].every((row) => row.length === 1)) continue;
    rest = [...others, ...[...rows.values()].flatMap((row) => joined(row, axis))];
  }
  return rest;
}

interface Piece {
  readonly v: Value;
  readonly x: Value;
  readonly starts: readonly number[];
  readonly steps: readonly number[];
  readonly order: number;
}

/** Pieces that differ along one axis only: runs of neighbours as one piece each. */
function joined(pieces: readonly Piece[], axis: number): Value[] {
  const sorted = [...pieces].sort((a, b) => a.starts[axis]! - b.starts[axis]! || a.order - b.order);
  const runs: { pieces: Piece[]; end: number }[] = [];
  for (const piece of sorted) {
    const [start, end] = [piece.starts[axis]!, piece.starts[axis]! + piece.x.shape[axis]!];
    const run = runs.find((r) => r.end === start);
    if (run) {
      run.pieces.push(piece);
      run.end = end;
    } else runs.push({ pieces: [piece], end });
  }
  return runs.map((run) => {
    const [first] = run.pieces;
    if (run.pieces.length === 1) return first!.v;
    const parts = run.pieces.map((p) => p.x);
    return place(concat(parts, axis), first!.v.shape, first!.starts, first!.steps);
  });
}

/** Sums of outer products that can be one, as one each. */
function sumsOfProducts(shares: readonly Value[]): Value[] {
  const rest: Value[] = [];
  const sums = new Map<string, Term[]>();
  for (const v of shares) {
    const term = termOf(v);
    if (!term) rest.push(v);
    else sums.set(term.kind, [...(sums.get(term.kind) ?? []), term]);
  }
  if ([...sums.values()].every((terms) => terms.length === 1)) return [...shares];
  for (const terms of sums.values()) {
    if (terms.length === 1) rest.push(terms[0]!.v);
    else rest.push(oneProduct(terms));
  }
  return rest;
}

interface Term {
  readonly v: Value;
  readonly x: Value;
  readonly y: Value;
  readonly product: NodeSource;
  readonly summed: boolean;
  /** Terms of one kind add up to one product. */
  readonly kind: string;
}

/** v as a sum of outer products, perhaps transposed, perhaps summed over the examples of a group. */
function termOf(v: Value): Term | undefined {
  let [inner, summed, flipped] = [v, false, false];
  for (;;) {
    const { source } = inner;
    if (source.kind !== 'node') return undefined;
    const [x, y] = source.inputs as [Value, Value];
    const kind = (shapes: string) => `${summed} ${inner.lead} ${shapes}`;
    if (source.op === linearOps.OuterSum) {
      const [left, right] = flipped ? [y, x] : [x, y];
      return { v, x: left, y: right, product: source, summed, kind: kind('') };
    }
    if (source.op === convOps.ConvWeightGrad) {
      if (flipped || source.inputs.length > 2) return undefined;
      const sizes = [x.shape.slice(1), y.shape.slice(1), source.attrs];
      return { v, x, y, product: source, summed, kind: kind(JSON.stringify(sizes)) };
    }
    if (source.op === groupOps.GroupSum && !summed) summed = true;
    else if (source.op === shapeOps.Transpose && inner.shape.length === 2) flipped = !flipped;
    else return undefined;
    inner = x;
  }
}

function oneProduct(terms: readonly Term[]): Value {
  // One-hot rows first, whose Gram matrices take no products; else in the order in which the forward pass has made the
  // activations.
  const hot = (t: Term) => Number([t.x, t.y].some((v) => v.source.kind === 'node' && v.source.op.places));
  const sorted = [...terms].sort((a, b) => hot(b) - hot(a) || Math.min(a.x.id, a.y.id) - Math.min(b.x.id, b.y.id));
  const [x, y] = [sorted.map((t) => t.x), sorted.map((t) => t.y)].map((side) => concat(side, 0)) as [Value, Value];
  const [{ product, summed, v }] = sorted as [Term];
  const sum = product.op === linearOps.OuterSum ? outerSum(x, y) : convWeightGrad(x, y, v.shape, product.attrs);
  return summed ? groupSum(sum) : sum;
}

/** Many sums over groups as one, of the sum within each example: of a bias that every step of a recurrence adds. */
function manyGroupSums(shares: readonly Value[]): Value[] {
  const found = shares.filter(isGroupSum);
  if (found.length < MANY) return [...shares];
  const rows = found.map((v) => reshape((v.source as NodeSource).inputs[0]!, [1, ...v.shape]));
  return [...shares.filter((v) => !found.includes(v)), groupSum(reduceSum(concat(rows, 0), [0]))];
}

/** Whether v is a sum over a group, but for one that is made as a product over its positions. */
function isGroupSum({ source }: Value): boolean {
  if (source.kind !== 'node' || source.op !== groupOps.GroupSum) return false;
  const [inner] = source.inputs as [Value];
  return inner.lead === 'example' && !(inner.source.kind === 'node' && inner.source.op.contraction);
}
