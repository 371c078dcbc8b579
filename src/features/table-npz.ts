// A feature table in, the bytes of an .npz file out; and back.

import { type NpyArray, readNpz, writeNpz } from '../data/npy.ts';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { type FeatureTable, rowsOf } from './table.ts';
import { columnsOf, parseHead, type View, viewNames } from './table-head.ts';
import { asObject, withViews } from './table-records.ts';

// .npz: nll [n], sqnorm [n, L], names [L], dims [L] and ids [n] or [n, B] if known, and the rest as JSON in the single
// string `meta`. Readable as np.load(f)['sqnorm'] without allow_pickle.

export function encodeNpz(table: FeatureTable, name: string): Uint8Array {
  const { names, dims, nll, sqNorms, views = {}, ids, group, meta } = table;
  const n = rowsOf(table);
  checkIds(ids, name);
  const matrix = (data: Float64Array, view?: View) =>
    ({ dtype: 'float64', shape: [n, columnsOf(table, view).length], data }) as const;
  return writeNpz({
    nll: { dtype: 'float64', shape: [n], data: nll },
    sqnorm: matrix(sqNorms),
    ...Object.fromEntries(Object.entries(views).map(([view, data]) => [view, matrix(data, view as View)])),
    names: { dtype: 'string', shape: [names.length], data: names },
    ...(dims === undefined
      ? {}
      : { dims: { dtype: 'int64', shape: [dims.length], data: BigInt64Array.from(dims, BigInt) } }),
    ...(ids === undefined ? {} : { ids: { dtype: 'string', shape: group === 1 ? [n] : [n, group], data: ids } }),
    meta: { dtype: 'string', shape: [], data: [JSON.stringify({ group, ...meta })] },
  });
}

/** NumPy pads its texts with zeros, and takes those away that a text ends in. */
function checkIds(ids: readonly string[] | undefined, name: string): void {
  const odd = ids?.find((id) => id.endsWith('\0'));
  if (odd === undefined) return;
  const shown = JSON.stringify(odd.slice(0, 60));
  throw new DataError(
    `${name}: the id ${shown} ends in a zero character, which .npz does not keep; write .parquet or .json`,
  );
}

export async function decodeNpz(bytes: Uint8Array, name: string): Promise<FeatureTable> {
  const arrays = readNpz(bytes, name);
  const known = ['nll', 'sqnorm', ...viewNames, 'names', 'dims', 'ids', 'meta'];
  const optional: readonly string[] = ['dims', 'ids', ...viewNames];
  for (const key of known) {
    if (!optional.includes(key) && !Object.hasOwn(arrays, key)) {
      const found = Object.keys(arrays).join(', ') || 'none';
      const needed = known.filter((other) => !optional.includes(other)).join(', ');
      throw new DataError(`${name}: has no array '${key}' (found: ${found}), expected ${needed}`);
    }
  }
  const extra = Object.keys(arrays).find((key) => !known.includes(key));
  if (extra !== undefined) throw new DataError(`${name}: has an array '${extra}', expected only ${known.join(', ')}`);
  const nll = floats(arrays.nll!, 1, `${name}: array 'nll'`);
  const names = strings(arrays.names!, 1, `${name}: array 'names'`);
  const n = nll.shape[0]!;
  const matrix = (key: string, wanted: readonly string[], by: string) => {
    const { data, shape } = floats(arrays[key]!, 2, `${name}: array '${key}'`);
    const [rows, columns] = shape as [number, number];
    if (rows === n && columns === wanted.length) return data;
    const expected = `[${n}, ${wanted.length}] (nll × ${by})`;
    throw new DataError(`${name}: array '${key}' has shape [${rows}, ${columns}], expected ${expected}`);
  };
  const { group, ...meta } = asObject(
    parseJson(strings(arrays.meta!, 0, `${name}: array 'meta'`)[0]!, `${name}: array 'meta'`),
    `${name}: array 'meta'`,
  );
  const dims = Object.hasOwn(arrays, 'dims') ? integers(arrays.dims!, `${name}: array 'dims'`) : undefined;
  const head = parseHead({ names, group, meta, ...defined({ dims }) }, name);
  const views = viewNames
    .filter((view) => Object.hasOwn(arrays, view))
    .map((view) => {
      const columns = columnsOf(head, view);
      return [view, matrix(view, columns, columns === head.names ? 'names' : 'its columns')] as const;
    });
  const ids = Object.hasOwn(arrays, 'ids')
    ? strings(arrays.ids!, head.group === 1 ? 1 : 2, `${name}: array 'ids'`)
    : undefined;
  const sqNorms = matrix('sqnorm', head.names, 'names');
  return { ...head, nll: nll.data, sqNorms, ...withViews(views), ...defined({ ids }) };
}

function floats(array: NpyArray, rank: number, where: string): { data: Float64Array; shape: readonly number[] } {
  if (array.shape.length !== rank || (array.dtype !== 'float64' && array.dtype !== 'float32')) {
    throw new DataError(`${where} is ${describe(array)}, expected float64 or float32 of rank ${rank}`);
  }
  return { data: Float64Array.from(array.data), shape: array.shape };
}

function strings(array: NpyArray, rank: number, where: string): readonly string[] {
  if (array.dtype === 'string' && array.shape.length === rank) return array.data;
  throw new DataError(`${where} is ${describe(array)}, expected a unicode array of rank ${rank}`);
}

function integers(array: NpyArray, where: string): number[] {
  if (array.shape.length === 1 && (array.dtype === 'int64' || array.dtype === 'int32')) {
    return Array.from<number | bigint, number>(array.data, Number);
  }
  throw new DataError(`${where} is ${describe(array)}, expected int64 or int32 of rank 1`);
}

function describe(array: NpyArray): string {
  return `${array.dtype} [${array.shape.join(', ')}]`;
}
