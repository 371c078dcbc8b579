// Attention over long sequences, softmax(S)·V, block by block of its rows: so that memory grows with the length and not
// with its square, and what a mask hides from a whole block is not computed. Rabe & Staats, "Self-attention does not
// need O(n²) memory", 2021; Dao et al., "FlashAttention", NeurIPS 2022.

import { type NodeSource, reachable, type Value } from '../graph/index.ts';
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

/** Columns are cut at multiples of this share of them: of few sizes, values can have the memory of others before. */
const SHARE = 1 / 8;

/** From `start` on, before `end`. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * softmax(S)·V in blocks of so many rows, each made anew for the gradient; S made of matrix products by steps that
 * treat each element alike, masks and scales among them. Undefined for anything else, and for what one block holds.
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
  const masks = [...masksOf(scores)].flatMap((mask) => seenBy(mask, length, width) ?? []);
  if (masks.length === 0) return () => ({ start: 0, end: width });
  const [first, ...more] = masks;
  const shown = Uint8Array.from(first!);
  for (const seen of more) for (let i = 0; i < shown.length; i++) shown[i]! &= seen[i]!;
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

/** What is added to scores; or what decides, where it holds or where not, that they count. */
interface Mask {
  readonly value: Value;
  readonly kind: 'added' | 'shows' | 'hides';
}

function* masksOf(scores: Value): Generator<Mask> {
  for (let v: Value | undefined = scores; v?.source.kind === 'node' && v.lead === 'example'; ) {
    const { op, inputs }: NodeSource = v.source;
    const [a, b, c] = inputs as [Value, Value, Value];
    if (op === elementwiseOps.Add) {
      const [mask, rest]: Value[] = a.lead === 'none' ? [a, b] : [b, a];
      if (mask!.lead === 'none') yield { value: mask!, kind: 'added' };
      v = rest;
    } else if (op === elementwiseOps.Where) {
      const low = uniformValue(b) ?? uniformValue(c);
      const kind = uniformValue(b) === undefined ? 'shows' : 'hides';
      if (low !== undefined && low <= HIDDEN) yield { value: a, kind };
      v = kind === 'hides' ? c : b;
    } else v = keepsMatrices(v) ? a : undefined;
  }
}

const known: Readonly<Record<Mask['kind'], WeakMap<Value, Uint8Array>>> = {
  added: new WeakMap(),
  shows: new WeakMap(),
  hides: new WeakMap(),
};

/** 1 where a mask shows a column to a row in some matrix of it; undefined where its numbers are not known. */
function seenBy({ value, kind }: Mask, length: number, width: number): Uint8Array | undefined {
  const before = known[kind].get(value);
  if (before?.length === length * width) return before;
  const numbers = numbersOf(value, 2 * Math.max(length * width, sizeOf(value.shape)));
  if (!numbers) return undefined;
  const seen = new Uint8Array(length * width);
  const [height, breadth] = [numbers.shape.at(-2) ?? 1, numbers.shape.at(-1) ?? 1];
  const score = (x: number) => (kind === 'added' ? x : (x !== 0) === (kind === 'shows') ? 0 : -Infinity);
  for (let at = 0; at < numbers.data.length; at += height * breadth) {
    for (let r = 0; r < length; r++) {
      const start = at + (height === 1 ? 0 : r) * breadth;
      const row = numbers.data.subarray(start, start + breadth).map(score);
      const least = row.reduce((a, b) => Math.max(a, b), -Infinity) + HIDDEN;
      for (let k = 0; k < width; k++) if (row[breadth === 1 ? 0 : k]! > least) seen[r * width + k] = 1;
    }
  }
  known[kind].set(value, seen);
  return seen;
}

/** What follows from constants alone, step by step of at most so many numbers; undefined for anything else. */
function numbersOf(value: Value, most: number): NdArray | undefined {
  const found = new Map<Value, NdArray>();
  for (const v of reachable([value])) {
    const { source } = v;
    if (source.kind === 'constant') found.set(v, { shape: v.shape, data: source.data });
    else if (source.kind !== 'node' || source.op.lead || source.op.multiplications || sizeOf(v.shape) > most)
      return undefined;
    else {
      const inputs = source.inputs.map((x) => found.get(x)!);
      found.set(v, source.op.evaluate(inputs, source.attrs, v));
    }
  }
  return found.get(value);
}
