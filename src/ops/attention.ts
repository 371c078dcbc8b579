// Attention over long sequences, softmax(S)·V, block by block of its rows: so that memory grows with the length and not
// with its square, and what a mask hides from a whole block is not computed. Rabe & Staats, "Self-attention does not
// need O(n²) memory", 2021; Dao et al., "FlashAttention", NeurIPS 2022.

import type { NodeSource, Value } from '../graph/index.ts';
import type { NdArray } from '../tensor/ndarray.ts';
import { type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { apply, uniformValue } from './apply.ts';
import { elementwiseOps } from './elementwise.ts';
import { linearOps, matmul } from './linear.ts';
import { recomputed } from './recompute.ts';
import { concat, reshape, shapeOps, slice } from './shape.ts';
import { softmaxOps } from './softmax.ts';

/** Scores of a block, about: 8 MB. */
const BLOCK = 2 ** 21;
/** Fewer rows than these make products slower than they make them smaller. */
const FEWEST_ROWS = 128;
/** What is added to a score to hide it, or less: e to it is 0 whatever scores a model may give. */
const HIDDEN = -1e8;

/**
 * Columns are cut at multiples of this share of them: the runtime compares every value's shape with those of all values
 * before it that none has the shape of.
 */
const SHARE = 1 / 8;

/** From `start` on, before `end`. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * softmax(S)·V in blocks of so many rows, each made anew for the gradient; S made of matrix products by steps that treat
 * each element alike, masks and scales among them. Undefined for anything else, and for what one block holds.
 */
export function attentionInBlocks(y: Value, { inputs }: NodeSource, most?: number): Value | undefined {
  const [p, v] = inputs as [Value, Value];
  const [length, width] = p.shape.slice(-2) as [number, number];
  const rows = most ?? Math.max(FEWEST_ROWS, 2 ** Math.floor(Math.log2((BLOCK * length) / sizeOf(p.shape))));
  if (y.lead !== 'example' || rows >= length) return undefined;
  const scores = scoresOf(p);
  if (!scores) return undefined;
  const shown = shownColumns(scores, length, width);

  const blocks: Value[] = [];
  for (let start = 0; start < length; start += rows) {
    const own = { start, end: Math.min(length, start + rows) };
    const columns = shown(own);
    const cut = new Cut(p.shape, own, columns);
    const weights = cut.of(p);
    if (!weights || cut.from.length === 0) return undefined;
    blocks.push(recomputed(matmul(weights, cut.part(v, -2, columns)), cut.from));
  }
  return concat(blocks, -2);
}

/** What softmax is taken of along the last axis, where p is made of that by steps that treat each element alike. */
function scoresOf(p: Value): Value | undefined {
  if (p.source.kind !== 'node') return undefined;
  const { op, inputs, attrs } = p.source;
  if (op === softmaxOps.Softmax) return attrs.axis === p.shape.length - 1 ? inputs[0] : undefined;
  if (!op.elementwise && !keepsMatrices(p)) return undefined;
  for (const x of inputs) {
    const found = x.lead === 'example' ? scoresOf(x) : undefined;
    if (found) return found;
  }
  return undefined;
}

/** Whether v is a reshape that leaves its last two axes as they are. */
function keepsMatrices({ source, shape }: Value): boolean {
  if (source.kind !== 'node' || source.op !== shapeOps.Reshape) return false;
  return shape.length >= 2 && sameShape(source.inputs[0]!.shape.slice(-2), shape.slice(-2));
}

/** Makes what stands in some rows and columns of matrices out of as many rows and columns of what they are made of. */
class Cut {
  readonly #size: Shape;
  readonly #rows: Range;
  readonly #columns: Range;
  /** What differs from block to block: slices of values that each example has its own of. */
  readonly from: Value[] = [];

  constructor(size: Shape, rows: Range, columns: Range) {
    this.#size = size;
    this.#rows = rows;
    this.#columns = columns;
  }

  /** Undefined where a value as large as the whole would be kept. */
  of(v: Value): Value | undefined {
    const [length] = this.#size.slice(-2);
    if (v.source.kind === 'node' && v.lead === 'example' && v.shape.length >= 2) {
      const { op, inputs, attrs } = v.source;
      if (op.elementwise || op === softmaxOps.Softmax) {
        const parts = inputs.map((x) => this.of(x));
        return parts.every((x) => x !== undefined) ? apply(op, parts, attrs) : undefined;
      }
      if (keepsMatrices(v)) {
        const x = this.of(inputs[0]!);
        return x && reshape(x, [...v.shape.slice(0, -2), ...x.shape.slice(-2)]);
      }
      const [a, b] = inputs;
      if (op === linearOps.MatMul && v.shape.at(-2) === length && a!.lead === 'example') {
        return matmul(this.part(a!, -2, this.#rows), this.#columnsOf(b!));
      }
      if (sizeOf(v.shape) >= sizeOf(this.#size)) return undefined;
    }
    const [length0] = v.shape.length >= 2 ? v.shape.slice(-2) : [1];
    return this.#columnsOf(length0 === length && length !== 1 ? this.part(v, -2, this.#rows) : v);
  }

  /** Along an axis. */
  part(v: Value, axis: number, { start, end }: Range): Value {
    const x = slice(v, axis, start, end);
    if (x !== v && x.lead === 'example') this.from.push(x);
    return x;
  }

  #columnsOf(v: Value): Value {
    const width = this.#size.at(-1)!;
    return v.shape.length > 0 && v.shape.at(-1) === width && width !== 1 ? this.part(v, -1, this.#columns) : v;
  }
}

/**
 * The columns that masks show to some row of a block; all where there is no mask that the graph knows, or a row that
 * sees nothing.
 */
function shownColumns(scores: Value, length: number, width: number): (rows: Range) => Range {
  const shown = new Uint8Array(length * width).fill(1);
  let some = false;
  for (const mask of masksOf(scores)) {
    some = true;
    const seen = seenBy(mask, length, width);
    for (let i = 0; i < shown.length; i++) shown[i]! &= seen[i]!;
  }
  if (!some) return () => ({ start: 0, end: width });
  const ranges = Array.from({ length }, (_, r): Range => {
    const row = shown.subarray(r * width, (r + 1) * width);
    const start = row.indexOf(1);
    return start < 0 ? { start: 0, end: width } : { start, end: row.lastIndexOf(1) + 1 };
  });
  const step = Math.ceil(width * SHARE);
  return ({ start, end }) => {
    const own = ranges.slice(start, end);
    const [first, last] = [Math.min(...own.map((r) => r.start)), Math.max(...own.map((r) => r.end))];
    return { start: Math.floor(first / step) * step, end: Math.min(width, Math.ceil(last / step) * step) };
  };
}

/** Numbers that are added to scores, 0 for those that are shown. */
function* masksOf(scores: Value): Generator<NdArray> {
  for (let v: Value | undefined = scores; v?.source.kind === 'node'; ) {
    const { op, inputs }: NodeSource = v.source;
    const [a, b, c] = inputs as [Value, Value, Value];
    if (op === elementwiseOps.Add) {
      const mask = numbersOf(a) ?? numbersOf(b);
      if (mask) yield mask;
      v = numbersOf(a) ? b : a;
    } else if (op === elementwiseOps.Where) {
      const [condition, low] = [numbersOf(a), uniformValue(b) ?? uniformValue(c)];
      const hides = uniformValue(b) === undefined ? 0 : 1;
      if (condition && low !== undefined && low <= HIDDEN) {
        yield { shape: condition.shape, data: condition.data.map((x) => (Number(x !== 0) === hides ? -Infinity : 0)) };
      }
      v = hides ? c : b;
    } else v = keepsMatrices(v) ? a : undefined;
  }
}

/** 1 where a mask shows a column to a row in some matrix of it. */
function seenBy(mask: NdArray, length: number, width: number): Uint8Array {
  const seen = new Uint8Array(length * width);
  const rank = mask.shape.length;
  const [height, breadth] = [mask.shape[rank - 2] ?? 1, mask.shape[rank - 1] ?? 1];
  for (let at = 0; at < mask.data.length; at += height * breadth) {
    for (let r = 0; r < length; r++) {
      const row = at + (height === 1 ? 0 : r) * breadth;
      const number = (k: number) => mask.data[row + (breadth === 1 ? 0 : k)]!;
      let highest = -Infinity;
      for (let k = 0; k < breadth; k++) highest = Math.max(highest, number(k));
      for (let k = 0; k < width; k++) if (number(k) > highest + HIDDEN) seen[r * width + k] = 1;
    }
  }
  return seen;
}

const known = new WeakMap<Value, NdArray>();

/** What can be computed beforehand without parameters; undefined for anything else. */
function numbersOf(v: Value): NdArray | undefined {
  if (v.source.kind === 'constant') return { shape: v.shape, data: v.source.data };
  if (v.source.kind !== 'node' || v.lead !== 'none') return undefined;
  const before = known.get(v);
  if (before) return before;
  const inputs: NdArray[] = [];
  for (const x of v.source.inputs) {
    const numbers = numbersOf(x);
    if (!numbers) return undefined;
    inputs.push(numbers);
  }
  const found = v.source.op.evaluate(inputs, v.source.attrs, v);
  known.set(v, found);
  return found;
}
