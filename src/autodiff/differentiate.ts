// Reverse-mode differentiation, graph to graph: a scalar in, its gradients as new values of the same arena out.

import { GraphError } from '../errors.ts';
import { type NodeSource, reachable, type Value } from '../graph/index.ts';
import { after, expand, groupSum, Sum, simplify, sumTo } from '../ops/index.ts';
import { broadcastTwo, sameShape, shapeText } from '../tensor/shape.ts';

/**
 * ∂loss/∂v for each v of `wrt`, of v's shape. `loss` is one number per example.
 *
 * What reaches a value that no input reaches (a parameter, or something computed from parameters alone) from one that
 * varies with the example is summed over the examples of a group on the way: the gradient of a parameter is that of the
 * group's summed loss. By linearity the sum may stand as early as the first value without an example, so everything
 * behind it (masks, products of parameters, exponentials) is differentiated once per group, not per example.
 *
 * What the ops' rules give is simplified as it comes (`ops/rewrite.ts`); the loss is differentiated as it is written,
 * so it is rewritten before.
 *
 * Throws GraphError where loss is not a scalar, does not depend on v, or passes through an op without a gradient.
 */
export function differentiate(loss: Value, wrt: readonly Value[]): Value[] {
  return gradients(loss, wrt).map((dV, k) => {
    if (!dV) throw new GraphError(`the loss has no differentiable path to ${wrt[k]}`);
    return dV;
  });
}

/** As `differentiate`; undefined for what the loss has no differentiable path to. */
export function gradients(loss: Value, wrt: readonly Value[]): (Value | undefined)[] {
  if (loss.shape.length !== 0) {
    throw new GraphError(`the loss must be one number per example, got ${loss} of shape ${shapeText(loss.shape)}`);
  }
  const order = reachable([loss]);
  const wanted = influencedBy(order, wrt);
  const sums = new Map<Value, Sum>();
  const again = new Again();
  const share = (v: Value, part: Value) => {
    const sum = sums.get(v) ?? new Sum();
    sum.add(part);
    sums.set(v, sum);
  };
  share(loss, expand(loss.arena.constant(1), loss.shape));
  const cotangent = (v: Value) => {
    const sum = sums.get(v)?.value;
    return sum && simplify(sum);
  };

  // The first consumer, in order, is the last to give its share: then they are added up, which leaves the sum beside
  // what it is made of. Of a parameter that is made at the start of everything it would else come after the whole
  // backward pass, and all that it is made of wait.
  const first = new Map<Value, Value[]>();
  const met = new Set<Value>();
  for (const y of order) {
    if (y.source.kind !== 'node') continue;
    const fresh = y.source.inputs.filter((x) => wanted.has(x) && !met.has(x));
    for (const x of fresh) met.add(x);
    if (fresh.length > 0) first.set(y, fresh);
  }

  // Reverse order: every consumer has given its share of a value's cotangent before that is read.
  for (const y of order.toReversed()) {
    give(y);
    for (const x of first.get(y) ?? []) cotangent(x);
  }

  return wrt.map(cotangent);

  function give(y: Value): void {
    if (!sums.has(y) || y.source.kind !== 'node' || !wanted.has(y)) return;
    const dY = cotangent(y)!;
    const { inputs, op } = y.source;
    if (op.recomputes) again.make(y, y.source, dY);
    const made = again.of(y);
    const given = gradientsOf(
      made,
      made.source as NodeSource,
      dY,
      inputs.map((x) => wanted.has(x) && x.dtype === 'float'),
    );
    given.forEach((dX, i) => {
      const x = inputs[i]!;
      if (!dX || !wanted.has(x)) return;
      share(x, simplify(x.lead === 'none' && y.lead === 'example' ? groupSum(dX) : dX));
      again.given(y, x, sums.get(x)!);
    });
  }
}

/**
 * What is made anew for the backward pass, in place of what the forward pass has made and need not keep
 * (`ops/recompute.ts`). It is made after the cotangent that it is for, and after all that was made of what was made
 * anew before: or whatever runs the graph might make all of it at once, and early.
 */
class Again {
  readonly #made = new Map<Value, Value>();
  /** What it was made from. */
  readonly #from = new Set<Value>();
  /** The sums of the values that had a share of the last one's. */
  #since = new Map<Value, Sum>();

  /** v as the gradients' rules are to see it. */
  of(v: Value): Value {
    return this.#made.get(v) ?? v;
  }

  /** y has given a share to `sum`, which is x's. */
  given(y: Value, x: Value, sum: Sum): void {
    if (this.#made.has(y) || this.#from.has(y)) this.#since.set(x, sum);
  }

  /** What lies between the first operand of y and the others. */
  make(y: Value, { inputs: [result, ...from] }: NodeSource, dY: Value): void {
    const open = [...this.#since].filter(([v]) => v.id < y.id);
    const used = [dY, ...open.flatMap(([, sum]) => sum.settled())].filter((v) => v.lead !== 'none');
    this.#since = new Map();
    for (const x of from) this.#from.add(x);
    const others = new Map(from.map((x) => [x, after(x, used)]));
    for (const v of between(result!, from)) {
      const before = this.#made.get(v);
      if (before) {
        others.set(v, before);
        continue;
      }
      const { op, inputs, attrs } = v.source as NodeSource;
      const other = v.arena.node(
        op,
        inputs.map((x) => others.get(x) ?? x),
        attrs,
      );
      others.set(v, other);
      this.#made.set(v, other);
    }
  }
}

/** What v is made of that is made of one of `sources`, v included, operands before results. */
function between(v: Value, sources: readonly Value[]): Value[] {
  const first = Math.min(...sources.map((x) => x.id));
  const seen = new Set<Value>();
  const stack = [v];
  for (let x = stack.pop(); x; x = stack.pop()) {
    if (x.id <= first || seen.has(x)) continue;
    seen.add(x);
    if (x.source.kind === 'node') stack.push(...x.source.inputs);
  }
  const order = [...seen].sort((a, b) => a.id - b.id);
  const wanted = influencedBy(order, sources);
  return order.filter((x) => wanted.has(x) && !sources.includes(x));
}

/** What the op's rule gives, summed to the shape of each operand that was broadcast. */
function gradientsOf(y: Value, node: NodeSource, dY: Value, needs: readonly boolean[]): readonly (Value | null)[] {
  if (!node.op.gradient) throw new GraphError(`${node.op.name} ${y} has no gradient`);
  return node.op.gradient(dY, node, y, needs).map((share, i) => {
    const { shape } = node.inputs[i]!;
    if (!share || !needs[i]) return share;
    if (!sameShape(broadcastTwo(shape, share.shape) ?? [-1], share.shape)) {
      throw new GraphError(
        `${node.op.name} ${y}: its gradient rule gave ${shapeText(share.shape)} for operand ${i} of shape ${shapeText(shape)}`,
      );
    }
    return sumTo(share, shape);
  });
}

/** The values of `order` that depend on one of `sources`. */
function influencedBy(order: readonly Value[], sources: readonly Value[]): ReadonlySet<Value> {
  const wanted = new Set<Value>(sources);
  for (const v of order) {
    if (v.source.kind === 'node' && v.source.inputs.some((x) => wanted.has(x))) wanted.add(v);
  }
  return wanted;
}
