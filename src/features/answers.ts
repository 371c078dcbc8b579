// Right answers for a few examples, as an exporter leaves them beside a model; how far a model's losses and norms are
// from them, out.

import { type EncodedFile, fingerprintOf, memoryDataset, type NpyArray, readNpz } from '../data/index.ts';
import type { Runtime } from '../engine/index.ts';
import { DataError } from '../errors.ts';
import type { ScoringModel } from '../store/index.ts';
import { shapeText, sizeOf } from '../tensor/shape.ts';
import { openExtractor } from './extractor.ts';
import { rowsOf } from './table.ts';

/** Inputs and what a model must give for them, in float64. */
export interface Answers {
  /** By the model's input; random ones too. The first axis is the examples'. */
  readonly inputs: Readonly<Record<string, NpyArray>>;
  /** [n] loss, in nats. */
  readonly nll: Float64Array;
  /** Parameters by name, [L], and their squared gradient norms, [n, L] row-major. */
  readonly names: readonly string[];
  readonly sqNorms: Float64Array;
}

/** One parameter, in the model, the answers, or both. */
export interface LayerAnswer {
  readonly name: string;
  /**
   * `missing`: the model has no such parameter, though it has a gradient; `renamed`: it has one of another name, `as`,
   * with these very norms; `extra`: the answers know nothing of it.
   */
  readonly verdict: 'exact' | 'differs' | 'renamed' | 'missing' | 'extra';
  readonly as?: string;
  /** Of the example where it is largest; where both have the parameter. */
  readonly relativeError?: number;
}

export interface Comparison {
  readonly examples: number;
  /** Largest relative error of a loss. */
  readonly nllError: number;
  readonly layers: readonly LayerAnswer[];
  /** Whether losses agree and every layer is exact. */
  readonly exact: boolean;
}

/** What float32 arithmetic may cost in the worst entry. */
const EXACT = 1e-3;
/**
 * A norm below this part of the example's largest one is compared with that part: what is zero in float64 is rounding
 * in float32.
 */
const NEGLIGIBLE = 1e-9;

const PREFIX = 'input.';

/**
 * Reads an .npz of `nll` [n], `sqnorm` [n, L], `names` [L], and inputs [n, ...], each as `input.NAME`; or inputs from a
 * file of their own, each under its name. Throws a DataError for anything missing or of sizes that disagree.
 */
export function parseAnswers(file: EncodedFile, inputs?: EncodedFile): Answers {
  const { where: path } = file;
  const arrays = readNpz(file.bytes, path);
  const numbers = (key: string, rank: number) => {
    const array = arrays[key];
    if ((array?.dtype !== 'float64' && array?.dtype !== 'float32') || array.shape.length !== rank) {
      const found = array ? `${array.dtype} ${shapeText(array.shape)}` : `the arrays ${Object.keys(arrays).join(', ')}`;
      throw new DataError(`${path}: has ${found}, expected '${key}' of rank ${rank}, float64`);
    }
    return { data: Float64Array.from(array.data), shape: array.shape };
  };
  const [nll, norms, names] = [numbers('nll', 1), numbers('sqnorm', 2), arrays.names];
  if (names?.dtype !== 'string') throw new DataError(`${path}: has no array 'names' of text`);
  const n = nll.data.length;
  if (n === 0 || norms.shape[0] !== n || norms.shape[1] !== names.data.length) {
    const shapes = `nll ${shapeText(nll.shape)}, sqnorm ${shapeText(norms.shape)}, names ${shapeText(names.shape)}`;
    throw new DataError(`${path}: has ${shapes}, expected [n], [n, L] and [L]`);
  }
  const given = inputs === undefined ? prefixed(arrays) : readNpz(inputs.bytes, inputs.where);
  const where = inputs?.where ?? path;
  if (Object.keys(given).length === 0) throw new DataError(`${where}: has no inputs, expected arrays '${PREFIX}NAME'`);
  for (const [key, { shape }] of Object.entries(given)) {
    if (shape[0] !== n) throw new DataError(`${where}: '${key}' is ${shapeText(shape)}, expected ${n} examples`);
  }
  return { inputs: given, nll: nll.data, names: names.data, sqNorms: norms.data };
}

/** A model whose inputs all come from data, against the answers. */
export async function compareAnswers(
  model: ScoringModel,
  answers: Answers,
  options: { readonly runtime: Runtime; readonly threads?: number },
): Promise<Comparison> {
  const n = answers.nll.length;
  const extractor = await openExtractor(model, { ...options, batch: n, prepared: true });
  try {
    const table = await extractor.table(datasetOf(answers));
    if (rowsOf(table) !== n) throw new DataError(`the model gives ${rowsOf(table)} losses for ${n} examples`);
    const nllError = Math.max(...answers.nll.map((y, i) => Math.abs(table.nll[i]! - y) / Math.max(1, Math.abs(y))));
    const layers = compareLayers(table, answers);
    const exact = nllError <= EXACT && layers.every(({ verdict }) => verdict === 'exact');
    return { examples: n, nllError, layers, exact };
  } finally {
    await extractor.dispose();
  }
}

function compareLayers(
  found: { readonly names: readonly string[]; readonly sqNorms: Float64Array },
  { names, sqNorms, nll }: Answers,
): LayerAnswer[] {
  const rows = Array.from(nll.keys());
  const expected = (i: number, j: number) => sqNorms[i * names.length + j]!;
  const largest = rows.map((i) => Math.max(...names.map((_, j) => expected(i, j))));
  /** Of the model's parameter k as the answers' j. */
  const errorOf = (j: number, k: number) =>
    Math.max(
      ...rows.map((i) => {
        const scale = Math.max(expected(i, j), NEGLIGIBLE * largest[i]!, Number.MIN_VALUE);
        return Math.abs(found.sqNorms[i * found.names.length + k]! - expected(i, j)) / scale;
      }),
    );
  // Exporters rename what they transpose; a parameter without a gradient has no norms to be known by.
  const strangers = [...found.names.keys()].filter((k) => !names.includes(found.names[k]!));
  const renamed = new Set<number>();
  const compared = names.flatMap((name, j): LayerAnswer[] => {
    const k = found.names.indexOf(name);
    if (k < 0) {
      if (rows.every((i) => expected(i, j) === 0)) return []; // no gradient, no layer
      const other = strangers.find((s) => !renamed.has(s) && errorOf(j, s) <= EXACT);
      if (other === undefined) return [{ name, verdict: 'missing' }];
      renamed.add(other);
      return [{ name, verdict: 'renamed', as: found.names[other]!, relativeError: errorOf(j, other) }];
    }
    const relativeError = errorOf(j, k);
    return [{ name, verdict: relativeError <= EXACT ? 'exact' : 'differs', relativeError }];
  });
  const extra = strangers.filter((k) => !renamed.has(k)).map((k) => found.names[k]!);
  return [...compared, ...extra.map((name): LayerAnswer => ({ name, verdict: 'extra' }))];
}

function prefixed(arrays: Readonly<Record<string, NpyArray>>): Record<string, NpyArray> {
  const inputs = Object.entries(arrays).filter(([key]) => key.startsWith(PREFIX));
  return Object.fromEntries(inputs.map(([key, array]) => [key.slice(PREFIX.length), array]));
}

function datasetOf({ inputs, nll }: Answers) {
  const entries = Object.entries(inputs).map(([key, { data, shape, dtype }]) => {
    if (dtype === 'string') throw new DataError(`the input '${key}' is text, expected numbers`);
    const typed =
      dtype === 'float64' ? Float32Array.from(data) : dtype === 'int32' ? BigInt64Array.from(data, BigInt) : data;
    return [key, { data: typed, shape: shape.slice(1) }] as const;
  });
  const parts = entries.flatMap(([key, { data, shape }]) => [
    `${key} ${shapeText(shape)} ${sizeOf(shape)}`,
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  ]);
  return memoryDataset('the answers', nll.length, fingerprintOf('answers', ...parts), Object.fromEntries(entries));
}
