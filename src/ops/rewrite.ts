// Rewrites of a graph: values in; values with the same numbers, written otherwise, out. One table of what is written
// how instead and why, and the pass that applies it. What makes values of ops (`mul`, `log`, …) makes what was asked
// for and nothing else.
//
// Two uses of the table. `simplify` takes what only makes fewer or smaller steps; every graph that is run goes through
// it, and so does each cotangent while a loss is differentiated, whose rules make products with one and sums with zero
// by the dozen. `rewrite` takes a loss before it is differentiated, and has besides what float32 needs: forms that keep
// digits where the form that was written rounds to 0, 1 or infinity.
//
// Not in the table: numbers that are known when a graph is written are computed there (`apply`, `binary`, `reduceSum`),
// since shapes, places and bounds of further values depend on them; and what asks for nothing (a reshape to the shape
// that is there) makes no value.

import type { Graph, NodeSource, OpRecord, Value } from '../graph/index.ts';
import * as algebra from './algebra.ts';
import { apply } from './apply.ts';
import { attentionInBlocks } from './attention.ts';
import { elementwiseOps } from './elementwise.ts';
import { groupOps } from './group.ts';
import { kinkOps } from './kinks.ts';
import { linearOps } from './linear.ts';
import { cutAsPyTorch } from './log-sigmoid.ts';
import { betterLogarithm } from './logarithm.ts';
import { normaliseOps } from './normalise.ts';
import { sigmoidOfQuotient, softmaxOfQuotient, timesReciprocalSigmoid } from './quotient.ts';
import { reduceOps } from './reduce.ts';
import { shapeOps } from './shape.ts';

const { Add, Sub, Mul, Div, Pow, Neg, Max, Min, Less, Greater, Equal, Remainder, Log } = elementwiseOps;

/** One way of writing something else for a value. */
export interface Rewrite {
  /** The op that makes what is looked for. */
  readonly at: readonly OpRecord[];
  /** What is looked for, and what is written instead. */
  readonly from: string;
  readonly to: string;
  readonly because: string;
  /** Of losses alone, before they are differentiated; left out: of every graph. */
  readonly losses?: true;
  /** The other value; undefined where this is not what is looked for. */
  give(y: Value, node: NodeSource): Value | undefined;
}

const STEP = 'one pass over the elements less';
const CUTS = 'float32 rounds it to 0, 1 or infinity on the way, and then its logarithm and its gradient are lost';

/** Of one value the first that gives something is taken, and its result is looked at again. */
export const rewrites = {
  sumOfNegative: {
    at: [Add],
    from: 'a + (−b), (−a) + b',
    to: 'a − b, b − a',
    because: STEP,
    give: algebra.sumOfNegative,
  },
  differenceOfNegative: { at: [Sub], from: 'a − (−b)', to: 'a + b', because: STEP, give: algebra.differenceOfNegative },
  productOfNegatives: { at: [Mul], from: '(−a) · (−b)', to: 'a · b', because: STEP, give: algebra.productOfNegatives },
  timesMinusOne: {
    at: [Mul],
    from: '−1 · x',
    to: '−x',
    because: 'what follows sees a sign',
    give: algebra.timesMinusOne,
  },
  doubleNegative: { at: [Neg], from: '−(−x)', to: 'x', because: STEP, give: algebra.doubleNegative },
  sigmoidGate: {
    at: [Mul],
    from: 'x · σ(x)',
    to: 'silu(x)',
    because: 'its gradient is written in σ and the result, three passes less',
    give: algebra.sigmoidGate,
  },
  scalesFirst: {
    at: [Mul],
    from: '(x · s) · t, s and t at most a quarter of x',
    to: 'x · (s · t)',
    because: 'one pass over x, not two',
    give: algebra.scalesFirst,
  },
  plusZero: { at: [Add], from: 'x + 0, 0 + x', to: 'x', because: STEP, give: algebra.withoutNeutral(0) },
  minusZero: { at: [Sub], from: 'x − 0', to: 'x', because: STEP, give: algebra.withoutNeutral(0, true) },
  timesOne: { at: [Mul], from: 'x · 1, 1 · x', to: 'x', because: STEP, give: algebra.withoutNeutral(1) },
  overOne: { at: [Div], from: 'x / 1', to: 'x', because: STEP, give: algebra.withoutNeutral(1, true) },
  smallPower: {
    at: [Pow],
    from: 'x⁰, x¹, x², x³, √x and 1 / x as powers',
    to: '1, x, x · x, x · (x · x), √x, 1 / x',
    because: 'a power takes ten times as long, and its gradient a logarithm',
    give: algebra.smallPower,
  },
  repeatedOperand: {
    at: [Add, Sub, Mul, Div, Pow, Max, Min, Less, Greater, Equal, Remainder],
    from: 'expand(a) ∘ b',
    to: 'a ∘ b',
    because: 'the operation repeats it itself',
    give: algebra.repeatedOperand,
  },
  reshapeTwice: {
    at: [shapeOps.Reshape],
    from: 'reshape(reshape(x))',
    to: 'reshape(x)',
    because: 'the shape between is of no use',
    give: algebra.reshapeTwice,
  },
  transposeTwice: {
    at: [shapeOps.Transpose],
    from: 'transpose(transpose(x))',
    to: 'transpose(x)',
    because: STEP,
    give: algebra.transposeTwice,
  },
  sumOfScaled: {
    at: [reduceOps.ReduceSum],
    from: 'Σ x · s, s the same along the sum',
    to: 's · Σ x',
    because: 'spares a pass over x · s',
    give: algebra.sumOfScaled,
  },
  normaliseFolded: {
    at: [normaliseOps.Normalise],
    from: 'normalise(reshape(x)) of channels that are folded into groups',
    to: 'reshape(normalise(x))',
    because: 'scales and shifts of each channel then stand next to it',
    give: algebra.normaliseFolded,
  },
  normOfMoved: {
    at: [groupOps.SqNorm],
    from: '‖x among zeros‖², ‖x in another order‖²',
    to: '‖x‖²',
    because: 'nothing is moved',
    give: algebra.normOfMoved,
  },
  normOfPieces: {
    at: [groupOps.SqNorm],
    from: '‖[a, b, …]‖², a product of activations and cotangents among them',
    to: '‖a‖² + ‖b‖² + …',
    because: 'the norm of a product may be had without it (`lower/norm-plan.ts`)',
    give: algebra.normOfPieces,
  },
  softmaxOfQuotient: {
    losses: true,
    at: [Div],
    from: 'eᶻ / Σ eᶻ',
    to: 'softmax(z)',
    because: 'eᶻ is infinite from z = 89 on',
    give: softmaxOfQuotient,
  },
  timesReciprocalSigmoid: {
    losses: true,
    at: [Div],
    from: 'a / σ(z)',
    to: 'a · (1 + e⁻ᶻ)',
    because: "the runtime's sigmoid has few right digits far below 0",
    give: timesReciprocalSigmoid,
  },
  sigmoidOfQuotient: {
    losses: true,
    at: [Div],
    from: '1 / (1 + e⁻ᶻ), eᶻ / (1 + eᶻ)',
    to: 'σ(z)',
    because: 'eᶻ is infinite from z = 89 on',
    give: sigmoidOfQuotient,
  },
  logarithm: {
    losses: true,
    at: [Log],
    from: 'log x, x made of probabilities and densities (`logarithm.ts`)',
    to: 'what is had from their logarithms',
    because: CUTS,
    give: betterLogarithm,
  },
  attentionInBlocks: {
    losses: true,
    at: [linearOps.MatMul],
    from: 'softmax(S) · V, S of more than 2²¹ scores',
    to: 'blocks of its rows, made anew for the gradient, without what a mask hides from all of them',
    because: 'memory grows with the length, not with its square; half the scores of a causal model are not computed',
    give: attentionInBlocks,
  },
  cutAsPyTorch: {
    losses: true,
    at: [Max, kinkOps.Clamp],
    from: 'max(log σ(z), −100)',
    to: "the same with the gradient of PyTorch's binary_cross_entropy",
    because: 'that is what the bound comes from, and what the norms are compared with',
    give: cutAsPyTorch,
  },
} satisfies Record<string, Rewrite>;

/** The value written as simply as the table has it; itself where there is nothing to gain. Of any graph. */
export const simplify = (v: Value): Value => made(v, simplified, simpler);

/** The graph with its outputs simplified. */
export const simplifyGraph = ({ arena, outputs }: Graph): Graph => ({
  arena,
  outputs: Object.fromEntries(Object.entries(outputs).map(([name, v]) => [name, simplify(v)])),
});

/**
 * A loss of which float32 keeps the digits, and its gradient's, simplified as well. To be done once, before it is
 * differentiated.
 */
export const rewrite = (loss: Value): Value => made(loss, rewritten, better);

/** The values with others in place of some that they are made of. */
export function substitute(values: readonly Value[], others: ReadonlyMap<Value, Value>): Value[] {
  const done = new WeakMap(others);
  return values.map((v) => made(v, done, (x) => x));
}

/** What has been found for values, for themselves included where there is nothing better. */
type Found = Pick<WeakMap<Value, Value>, 'get' | 'set' | 'has'>;
const simplified: Found = new WeakMap();
const rewritten: Found = new WeakMap();

/** By the op that each is looked for at, in the table's order. */
function rulesAt(losses: boolean): ReadonlyMap<OpRecord, readonly Rewrite[]> {
  const found = new Map<OpRecord, Rewrite[]>();
  for (const rule of Object.values(rewrites) as readonly Rewrite[]) {
    if ((rule.losses === true) !== losses) continue;
    for (const op of rule.at) found.set(op, [...(found.get(op) ?? []), rule]);
  }
  return found;
}
const [simplifications, betterForms] = [rulesAt(false), rulesAt(true)];

/** What `each` gives for v, once the same has been done with all that it is made of. */
function made(v: Value, found: Found, each: (x: Value) => Value): Value {
  for (const x of unknown(v, found)) found.set(x, each(withOperands(x, found)));
  return found.get(v)!;
}

/** What v is made of that nothing is known of yet, v included, operands before results. */
function unknown(v: Value, found: Found): Value[] {
  const seen = new Set<Value>();
  const stack = [v];
  for (let x = stack.pop(); x; x = stack.pop()) {
    if (seen.has(x) || found.has(x)) continue;
    seen.add(x);
    if (x.source.kind === 'node') stack.push(...x.source.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** x, made of what has been found for its operands. */
function withOperands(x: Value, found: Found): Value {
  if (x.source.kind !== 'node') return x;
  const { op, inputs, attrs } = x.source;
  const others = inputs.map((v) => found.get(v)!);
  return others.every((v, i) => v === inputs[i]) ? x : apply(op, others, attrs);
}

/** Of a value whose operands are simplified. */
function simpler(x: Value): Value {
  const before = simplified.get(x);
  if (before) return before;
  simplified.set(x, x); // what is made of it may have it as a part
  const other = firstOf(simplifications, x);
  const y = other === undefined ? x : simplify(other);
  simplified.set(x, y);
  return y;
}

/**
 * Of a value whose operands are rewritten. What comes of it is simplified alone: the logarithms that it is made of are
 * meant as they are.
 */
function better(x: Value): Value {
  const y = simplify(x);
  const other = firstOf(betterForms, y);
  const z = other === undefined ? y : simplify(other);
  for (const v of unknown(z, rewritten)) rewritten.set(v, v);
  return z;
}

function firstOf(rules: ReadonlyMap<OpRecord, readonly Rewrite[]>, x: Value): Value | undefined {
  if (x.source.kind !== 'node') return undefined;
  for (const rule of rules.get(x.source.op) ?? []) {
    const y = rule.give(x, x.source);
    if (y) return y;
  }
  return undefined;
}
