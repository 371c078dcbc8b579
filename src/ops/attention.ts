// Attention over long sequences, softmax(S)·V, block by block of its rows: so that memory grows with the length and not
// with its square, and what a mask hides from a whole block is not computed. Rabe & Staats, "Self-attention does not
// need O(n²) memory", 2021; Dao et al., "FlashAttention", NeurIPS 2022.

import { type NodeSource, type OpRecord, reachable, type Value } from '../graph/index.ts';
import { type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { apply, constantData, uniformValue } from './apply.ts';
import { elementwiseOps } from './elementwise.ts';
import { linearOps, matmul } from './linear.ts';
import { picksByColumns } from './logarithm.ts';
import { HIDDEN, type Mask, type Range, shownColumns } from './masks.ts';
import { ownSlice, recomputed } from './recompute.ts';
import { concat, reshape, shapeOps } from './shape.ts';
import { softmaxOps } from './softmax.ts';

/** Scores of a block, about: 8 MB. */
const BLOCK = 2 ** 21;
/** Fewer rows than these make products slower than they make them smaller. */
const FEWEST_ROWS = 128;
/** Steps from the products that make scores to the weights: a dozen in what exporters write. */
const MOST_STEPS = 64;

/**
 * softmax(S)·V in blocks of so many rows, each made anew for the gradient; S and what is done with the softmax made of
 * matrix products by steps that treat each element alike, masks and scales among them. Undefined for anything else, and
 * for what one block holds.
 */
export function attentionInBlocks(y: Value, { inputs }: NodeSource, most?: number): Value | undefined {
  const [p, v] = inputs as [Value, Value];
  const length = p.shape.at(-2)!;
  const rows = most ?? Math.max(FEWEST_ROWS, 2 ** Math.floor(Math.log2((BLOCK * length) / sizeOf(p.shape))));
  // What only picks is of probabilities, whose logarithm is yet to be taken.
  if (y.lead !== 'example' || !(rows < length) || picksByColumns(v)) return undefined;
  const weights = weightsOf(p);
  if (!weights) return undefined;
  const shown = shownColumns(p, weights.masks);
  const blocks: Value[] = [];
  for (let start = 0; start < length; start += rows) {
    const own = { start, end: Math.min(length, start + rows) };
    const columns = shown(own);
    const cut = new Cut(y, p, own, columns);
    blocks.push(recomputed(matmul(cut.of(weights), cut.part(v, -2, columns)), [...cut.from]));
  }
  return concat(blocks, -2);
}

/** How weights [..., length, width] come about. */
interface Weights {
  /** Steps that treat each row alone, operands before results; products of queries and keys come first. */
  readonly steps: readonly Value[];
  /** What hides scores, where columns that it hides may be left out. */
  readonly masks: readonly Mask[];
}

/** Undefined where this is not softmax, or where something as large as the weights would be kept for it. */
function weightsOf(p: Value): Weights | undefined {
  const found = new Set<Value>();
  const others = new Set<Value>();
  const stack = [p];
  for (let v = stack.pop(); v; v = stack.pop()) {
    if (found.has(v)) continue;
    const operands = isMatrices(v, p) ? rowwiseOperands(v) : undefined;
    if (operands) {
      found.add(v);
      if (found.size > MOST_STEPS) return undefined;
      stack.push(...operands);
    } else {
      const kept = v.source.kind === 'node' ? [v, ...v.source.inputs] : [v];
      if (kept.some((x) => x.lead === 'example' && isMatrices(x, p))) return undefined;
      others.add(v);
    }
  }
  const steps = [...found].sort((a, b) => a.id - b.id);
  const softmaxes = steps.filter(({ source }) => (source as NodeSource).op === softmaxOps.Softmax);
  if (softmaxes.length === 0 || !steps.some(isProduct)) return undefined;
  const masks = softmaxes.length === 1 && keepsZeros(p, softmaxes[0]!) ? masksOf(softmaxes[0]!, found) : undefined;
  return { steps, masks: masks ?? [] };
}

/** Whether v is as many matrices of the same sizes. */
const isMatrices = (v: Value, p: Value): boolean =>
  v.shape.length >= 2 &&
  sameShape(v.shape.slice(-2), p.shape.slice(-2)) &&
  sizeOf(v.shape) >= sizeOf(p.shape.slice(-2));

const isProduct = ({ source, lead }: Value): boolean =>
  source.kind === 'node' &&
  lead === 'example' &&
  source.op === linearOps.MatMul &&
  source.inputs[0]!.lead === 'example';

/** Of what has each row from the same row of its operands: those that are matrices or broadcast to them. */
function rowwiseOperands(v: Value): readonly Value[] | undefined {
  if (v.source.kind !== 'node' || v.lead !== 'example') return undefined;
  const { op, inputs, attrs } = v.source;
  if (op.elementwise || keepsMatrices(v)) return inputs;
  if (op === softmaxOps.Softmax) return attrs.axis === v.shape.length - 1 ? inputs : undefined;
  return isProduct(v) ? [] : undefined;
}

/** Whether v is a reshape that leaves its last two axes as they are. */
function keepsMatrices({ source, shape }: Value): boolean {
  if (source.kind !== 'node' || source.op !== shapeOps.Reshape) return false;
  return shape.length >= 2 && sameShape(source.inputs[0]!.shape.slice(-2), shape.slice(-2));
}

/** Whether p is 0 wherever the softmax is. */
function keepsZeros(p: Value, softmax: Value): boolean {
  for (let v = p; v !== softmax; ) {
    const { op, inputs } = v.source as NodeSource;
    const [a, b, c] = inputs as [Value, Value, Value];
    const { Mul, Div, Neg, Where } = elementwiseOps;
    if (op === Mul) v = leadsTo(a, softmax) ? a : b;
    else if (op === Div || op === Neg || keepsMatrices(v)) v = a;
    else if (op === Where && uniformValue(c) === 0) v = b;
    else if (op === Where && uniformValue(b) === 0) v = c;
    else return false;
    if (!leadsTo(v, softmax)) return false;
  }
  return true;
}

/** Whether v is made of `source` by what `keepsZeros` follows. */
function leadsTo(v: Value, source: Value): boolean {
  const seen = new Set<Value>();
  const stack = [v];
  for (let x = stack.pop(); x; x = stack.pop()) {
    if (x === source) return true;
    if (seen.has(x) || x.id < source.id || x.source.kind !== 'node') continue;
    seen.add(x);
    stack.push(...x.source.inputs);
  }
  return false;
}

/**
 * What is added to the scores before their softmax, or stands in their place, outermost first. Undefined where anything
 * else might hide scores: then a row might see nothing but what a mask hides, and all of that.
 */
function masksOf({ source }: Value, steps: ReadonlySet<Value>): Mask[] | undefined {
  const masks: Mask[] = [];
  const several = new Set<number>(); // levels between reshapes at which masks differ from matrix to matrix
  let level = 0;
  const isMask = (value: Value, how: Partial<Mask> = {}) => {
    masks.push({ value, ...how } as Mask);
    if (sizeOf(value.shape.slice(0, -2)) > 1) several.add(level);
  };
  let v = (source as NodeSource).inputs[0]!;
  for (;;) {
    if (!steps.has(v)) return undefined;
    const { op, inputs } = v.source as NodeSource;
    const [a, b, c] = inputs as [Value, Value, Value];
    const [own, rest]: Value[] = a.lead === 'none' ? [a, b] : [b, a];
    const low = op === elementwiseOps.Where ? (uniformValue(b) ?? uniformValue(c)) : undefined;
    if (op === elementwiseOps.Add && own!.lead === 'none') {
      isMask(own!);
      v = rest!;
    } else if (a.lead === 'none' && low !== undefined && low <= HIDDEN) {
      const hides = uniformValue(b) !== undefined;
      isMask(a, { hides, low });
      v = hides ? c : b;
    } else if (keepsMatrices(v)) {
      level++;
      v = a;
    } else break;
  }
  return several.size <= 1 && isModest(v, steps) ? masks : undefined;
}

/** What a score may be multiplied by in all before it might hide others. */
const MOST_FACTOR = 1e5;

/** Whether v is products of queries and keys, scaled and shifted by numbers that are learned, or known to be modest. */
function isModest(v: Value, steps: ReadonlySet<Value>): boolean {
  const { Add, Sub, Mul, Div, Neg, Tanh } = elementwiseOps;
  let factor = 1;
  const seen = new Set<Value>();
  const stack = [v];
  for (let x = stack.pop(); x; x = stack.pop()) {
    if (seen.has(x)) continue;
    seen.add(x);
    if (!steps.has(x)) {
      if (x.lead !== 'none' || !isModestNumber(x)) return false;
      continue;
    }
    if (isProduct(x)) continue;
    const { op, inputs } = x.source as NodeSource;
    if (!keepsMatrices(x) && !([Add, Sub, Mul, Div, Neg, Tanh] as OpRecord[]).includes(op)) return false;
    for (const y of op === Mul || op === Div ? inputs : []) {
      const sizes = constantData(y)?.map(Math.abs);
      if (sizes) factor *= op === Mul ? Math.max(1, ...sizes) : Math.max(1, 1 / Math.min(...sizes));
    }
    stack.push(...inputs);
  }
  return factor <= MOST_FACTOR;
}

/** Of what no example has its own of: learned numbers, and few constants of no great size. */
function isModestNumber(v: Value): boolean {
  const { Log, Pow, Exp, Div } = elementwiseOps;
  return reachable([v]).every(({ source }) => {
    if (source.kind === 'param') return source.trainable;
    if (source.kind === 'node') return !([Log, Pow, Exp, Div] as OpRecord[]).includes(source.op);
    return (
      source.kind === 'constant' && source.data.length <= 64 && source.data.every((x) => Math.abs(x) < MOST_FACTOR)
    );
  });
}

/** Makes what stands in some rows and columns of matrices out of as many rows and columns of what they are made of. */
class Cut {
  readonly #size: Shape;
  readonly #rows: Range;
  readonly #columns: Range;
  readonly #id: number;
  /** What differs from block to block: slices of values that each example has its own of. */
  readonly from = new Set<Value>();

  constructor(y: Value, p: Value, rows: Range, columns: Range) {
    this.#size = p.shape.slice(-2);
    this.#id = y.id;
    this.#rows = rows;
    this.#columns = columns;
  }

  of({ steps }: Weights): Value {
    const made = new Map<Value, Value>();
    for (const v of steps) {
      const { op, inputs, attrs } = v.source as NodeSource;
      const operand = (x: Value) => made.get(x) ?? this.#broadcast(x);
      if (isProduct(v)) {
        made.set(v, matmul(this.part(inputs[0]!, -2, this.#rows), this.part(inputs[1]!, -1, this.#columns)));
      } else if (keepsMatrices(v)) {
        const x = operand(inputs[0]!);
        made.set(v, reshape(x, [...v.shape.slice(0, -2), ...x.shape.slice(-2)]));
      } else made.set(v, apply(op, inputs.map(operand), attrs));
    }
    return made.get(steps.at(-1)!)!;
  }

  /** An operand whose last axes are those of the matrices, or 1. */
  #broadcast(v: Value): Value {
    const [length, width] = this.#size as [number, number];
    const x = v.shape.length >= 2 && v.shape.at(-2) === length && length !== 1 ? this.part(v, -2, this.#rows) : v;
    return x.shape.length > 0 && x.shape.at(-1) === width && width !== 1 ? this.part(x, -1, this.#columns) : x;
  }

  /** Along an axis. */
  part(v: Value, axis: number, { start, end }: Range): Value {
    const x = ownSlice(v, axis, start, end, this.#id);
    if (x !== v && x.lead === 'example') this.from.add(x);
    return x;
  }
}
