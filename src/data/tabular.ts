// Tables of text, CSV, TSV and JSON lines: rows of numbers -> data set of vectors; a column of text -> windows of bytes.

import { DataError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, memoryDataset, sizeOf } from './dataset.ts';
import type { ReaderOptions } from './readers.ts';
import { type ByteSource, readAll } from './source.ts';
import { listed, namesOf, storedFloats } from './table.ts';
import { textDataset } from './text.ts';

/** Values by column; `where` a row is, for messages. */
interface Table {
  readonly names: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  /** Line of a row, from 1. */
  readonly line: (row: number) => number;
}

/**
 * A .csv, .tsv or .jsonl file. Rows of numbers are vectors [d] of their columns, in the order in which the table has them; a column of lists of
 * numbers (JSON lines) has their shape; a column of text is cut into windows of bytes, a newline between rows. The first row of a CSV file that
 * is not all numbers has the names of the columns. `column`: which is meant, or several; left out: all columns of numbers, where all
 * hold numbers. `id`: what examples are called.
 *
 * Throws a DataError with the line for what is no number, for rows of another length, and for a choice that is not to be told.
 */
export async function openTable(source: ByteSource, options: ReaderOptions): Promise<Dataset> {
  const { name: path } = source;
  const { name = path, column, id, like } = options;
  const bytes = await readAll(source);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new DataError(`${path}: is not UTF-8 text`, { cause: error });
  }
  const table = /\.(jsonl|ndjson)$/i.test(path)
    ? readLines(text, path)
    : await readCsv(text, path, /\.tsv$/i.test(path));
  const { names, rows, line } = table;
  if (rows.length === 0) throw new DataError(`${path}: holds no rows`);
  const indexOf = (wanted: string, option: string) => {
    const at = names.indexOf(wanted);
    if (at < 0) throw new DataError(`${path}: has no column '${wanted}' for \`${option}\`; it has ${listed(names)}`);
    return at;
  };
  const ids = id === undefined ? undefined : rows.map((row) => String(row[indexOf(id, 'id')]));
  const others = names.map((_, k) => k).filter((k) => names[k] !== id);
  const wanted = column === undefined ? others : namesOf(column, names).map((one) => indexOf(one, 'column'));
  const first = wanted.map((k) => numberOf(rows[0]![k]) ?? rows[0]![k]);
  if (column === undefined && wanted.length > 1 && first.some((value) => typeof value !== 'number')) {
    const odd = wanted[first.findIndex((value) => typeof value !== 'number')]!;
    throw new DataError(
      `${path}: column '${names[odd]}' holds no numbers; say which columns hold the examples, with \`column: ${names[wanted.find((k) => k !== odd)!]},…\`, or what names them, with \`id: ${names[odd]}\``,
    );
  }
  const key = wanted.map((k) => names[k]).join();
  const fingerprint = fingerprintOf('table', key, bytes);
  const named = (data: Dataset): Dataset =>
    ids === undefined ? data : { ...data, ids: async (indices) => Array.from(indices, (i) => ids[i]!) };
  const [only] = wanted as [number];
  if (wanted.length === 1 && typeof first[0] === 'string') {
    if (ids) throw new DataError(`${path}: \`id\` names rows, and text is cut into windows that are no rows`);
    const texts = rows.map((row, i) => {
      const value = row[only];
      if (typeof value !== 'string') throw new DataError(`${path}: line ${line(i)}: holds no text in '${names[only]}'`);
      return new TextEncoder().encode(value);
    });
    return textDataset(texts, path, name, like?.length === 1 ? like[0] : undefined);
  }
  const shape = wanted.length === 1 && Array.isArray(first[0]) ? shapeOf(first[0]) : [wanted.length];
  const size = sizeOf(shape);
  if (size === 0) throw new DataError(`${path}: line ${line(0)}: holds an empty list in '${names[only]}'`);
  const values = new Float64Array(rows.length * size);
  rows.forEach((row, i) => {
    if (wanted.length === 1 && Array.isArray(row[only])) {
      if (!fill(row[only], shape, values, i * size)) {
        throw new DataError(
          `${path}: line ${line(i)}: '${names[only]}' is no list of numbers of shape ${shapeText(shape)}, as in line ${line(0)}`,
        );
      }
      return;
    }
    wanted.forEach((k, at) => {
      const value = numberOf(row[k]);
      if (value === undefined) {
        const found = JSON.stringify(row[k])?.slice(0, 60) ?? 'nothing';
        throw new DataError(`${path}: line ${line(i)}: '${names[k]}' is ${found}, expected a number`);
      }
      values[i * size + at] = value;
    });
  });
  return named(memoryDataset(name, rows.length, fingerprint, { x: storedFloats(values, shape, path) }));
}

/** As people and programs write numbers; undefined for everything else, empty fields included. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) return Number(text);
  return /^(true|false)$/i.test(text) ? Number(text.toLowerCase() === 'true') : undefined;
}

/** Of nested lists, by the first items. */
function shapeOf(value: unknown): readonly number[] {
  return Array.isArray(value) ? [value.length, ...(value.length > 0 ? shapeOf(value[0]) : [])] : [];
}

/** Whether the lists have this shape and hold numbers, which go into `out`. */
function fill(value: unknown, [length, ...inner]: readonly number[], out: Float64Array, at: number): boolean {
  if (length === undefined) {
    if (typeof value !== 'number') return false;
    out[at] = value;
    return true;
  }
  const stride = sizeOf(inner);
  return (
    Array.isArray(value) && value.length === length && value.every((item, i) => fill(item, inner, out, at + i * stride))
  );
}

/** The parser is loaded when a table is read: few data are, and a page that reads none should not carry it. */
async function readCsv(text: string, path: string, tabs: boolean): Promise<Table> {
  const { parse } = await import('csv-parse/browser/esm/sync'); // the same without Node's Buffer
  let records: { readonly record: readonly string[]; readonly info: { readonly lines: number } }[];
  try {
    const delimiter = tabs ? '\t' : delimiterOf(text);
    const found: unknown = parse(text, {
      bom: true,
      delimiter,
      info: true,
      skip_empty_lines: true,
      relax_column_count: false,
    });
    records = found as typeof records;
  } catch (error) {
    throw new DataError(`${path}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
  const [head, ...rest] = records;
  if (!head) return { names: [], rows: [], line: () => 1 };
  const isNumber = (field: string) => numberOf(field) !== undefined || /^[-+]?(nan|inf(inity)?)?$/i.test(field.trim());
  const hasNames = !head.record.every(isNumber);
  const names = head.record.map((field, k) => (hasNames ? field.trim() : String(k)));
  const double = names.find((one, k) => names.indexOf(one) !== k);
  if (double !== undefined) throw new DataError(`${path}: has two columns called '${double}'`);
  const body = hasNames ? rest : records;
  return { names, rows: body.map(({ record }) => record), line: (row) => body[row]!.info.lines };
}

/** Of the first line: a comma, or a semicolon or tab where there are more of them, as where the comma is the decimal point. */
function delimiterOf(text: string): string {
  const [line = ''] = text.split('\n', 1);
  const count = (character: string) => line.split(character).length;
  return [',', ';', '\t'].reduce((best, one) => (count(one) > count(best) ? one : best));
}

function readLines(text: string, path: string): Table {
  const names: string[] = [];
  const rows: unknown[][] = [];
  const lines: number[] = [];
  for (const [k, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    if (line.trim() === '') continue;
    const record = parseJson(line, `${path}: line ${k + 1}`);
    const isRecord = typeof record === 'object' && record !== null && !Array.isArray(record);
    const fields = isRecord ? (record as Readonly<Record<string, unknown>>) : { x: record };
    if (rows.length === 0) names.push(...Object.keys(fields));
    const missing = names.find((one) => !Object.hasOwn(fields, one));
    if (missing !== undefined)
      throw new DataError(`${path}: line ${k + 1}: has no '${missing}', as line ${lines[0]} has`);
    rows.push(names.map((one) => fields[one]));
    lines.push(k + 1);
  }
  return { names, rows, line: (row) => lines[row]! };
}
