// A feature table in, the bytes of a .json file out; and back.

import * as z from 'zod';
import { defined } from '../defined.ts';
import { DataError } from '../errors.ts';
import { parseAs, parseJson } from '../json.ts';
import { type FeatureTable, idsOf } from './table.ts';
import { columnsOf, headOf, headSchema, parseHead, type View, viewNames } from './table-head.ts';
import { withViews } from './table-records.ts';

// .json: {names, dims, group, meta, nll: [n], sqnorm: [[L] × n]}, views of the shape of sqnorm, and ids: [n], or [[B] ×
// n]; null stands for NaN, which JSON has no word for.

const jsonNumber = z.union([z.number(), z.null()]);
const jsonMatrix = z.array(z.array(jsonNumber));
const jsonViews = Object.fromEntries(viewNames.map((view) => [view, jsonMatrix.optional()])) as Record<
  View,
  z.ZodOptional<typeof jsonMatrix>
>;
const jsonIds = z.union([z.array(z.string()), z.array(z.array(z.string()))]).optional();
const jsonSchema = headSchema.extend({ nll: z.array(jsonNumber), sqnorm: jsonMatrix, ...jsonViews, ids: jsonIds });

export function encodeJson(table: FeatureTable): Uint8Array {
  const matrix = (values: Float64Array, view?: View) => {
    const l = columnsOf(table, view).length;
    return Array.from(table.nll, (_, i) => Array.from(values.subarray(i * l, (i + 1) * l)));
  };
  const { names, ...rest } = headOf(table);
  const views = Object.entries(table.views ?? {}).map(([view, values]) => [view, matrix(values, view as View)]);
  const { ids, group } = table;
  const named = ids && (group === 1 ? ids : Array.from(table.nll, (_, i) => idsOf(table, i)));
  const all = { ...rest, names, ...defined({ ids: named }), nll: Array.from(table.nll), sqnorm: matrix(table.sqNorms) };
  return new TextEncoder().encode(`${JSON.stringify({ ...all, ...Object.fromEntries(views) })}\n`);
}

export async function decodeJson(bytes: Uint8Array, name: string): Promise<FeatureTable> {
  const all = parseAs(jsonSchema, parseJson(new TextDecoder().decode(bytes), name), name);
  const { nll, sqnorm, radial, fisher, parts, activations, ids: named, ...rest } = all;
  const head = parseHead(rest, name);
  const matrix = (rows: z.infer<typeof jsonMatrix>, what: string, view?: View) => {
    const columns = columnsOf(head, view);
    const [l, kind] = [columns.length, columns === head.names ? 'name' : 'column'];
    if (rows.length !== nll.length) {
      throw new DataError(`${name}: has ${rows.length} rows of ${what}, expected ${nll.length} (one per nll)`);
    }
    const ragged = rows.findIndex((row) => row.length !== l);
    if (ragged >= 0) {
      throw new DataError(
        `${name}: row ${ragged} has ${rows[ragged]!.length} ${what}, expected ${l} (one per ${kind})`,
      );
    }
    return Float64Array.from(rows.flat(), (value) => value ?? Number.NaN);
  };
  const odd = (named ?? []).findIndex((one) =>
    typeof one === 'string' ? head.group !== 1 : head.group === 1 || one.length !== head.group,
  );
  if (odd >= 0) throw new DataError(`${name}: row ${odd}: ids are not those of ${head.group} examples`);
  const views = Object.entries({ radial, fisher, parts, activations }).flatMap(([view, rows]) =>
    rows === undefined ? [] : [[view as View, matrix(rows, `values of ${view}`, view as View)] as const],
  );
  return {
    ...head,
    nll: Float64Array.from(nll, (value) => value ?? Number.NaN),
    sqNorms: matrix(sqnorm, 'squared norms'),
    ...withViews(views),
    ...defined({ ids: named?.flat() }),
  };
}
