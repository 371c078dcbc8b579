// Tables of text, CSV, TSV and JSON lines: rows of numbers -> data set of vectors; a column of text -> windows of
// bytes.

import { DataError } from '../errors.ts';
import { parseJson } from '../json.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, fingerprintOf, memoryDataset, sizeOf } from './dataset.ts';
import type { ReaderOptions } from './readers.ts';
import { type ByteSource, readAll } from './source.ts';
import { isRowIndex, labelAmong, leftNote, listed, namesOf, storedFloats } from './table.ts';
import { textDataset } from './text.ts';

/** Values by column. */
interface Table {
  readonly names: readonly string[];
  readonly length: number;
  /** Values of a row, one for each name. */
  readonly row: (index: number) => readonly unknown[];
  /** Line of a row, from 1, for messages. */
  readonly line: (row: number) => number;
}

/**
 * A .csv, .tsv or .jsonl file. Rows of numbers are vectors [d] of their columns, in the order in which the table has
 * them; a column of lists of numbers (JSON lines) has their shape; a column of text is cut into windows of bytes, a
 * newline between rows. The first row of a CSV file that is not all numbers has the names of the columns. `column`:
 * which is meant, or several; left out: all columns of numbers, where all hold numbers, without one of labels
 * (`labelAmong`), or the only column of lists. `id`: what examples are called.
 *
 * Throws a DataError with the line for what is no number, for rows of another length, and for a choice that is not to
 * be told.
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
  const { names, length, row, line } = table;
  if (length === 0) throw new DataError(`${path}: holds no rows`);
  const indexOf = (wanted: string, option: string) => {
    const at = names.indexOf(wanted);
    if (at < 0) throw new DataError(`${path}: has no column '${wanted}' for \`${option}\`; it has ${listed(names)}`);
    return at;
  };
  const noNumber = (i: number, k: number) => {
    const shown = JSON.stringify(row(i)[k])?.slice(0, 60) ?? 'nothing';
    return new DataError(`${path}: line ${line(i)}: '${names[k]}' is ${shown}, expected a number`);
  };
  const each = <T>(of: (values: readonly unknown[], i: number) => T) => Array.from({ length }, (_, i) => of(row(i), i));
  const idAt = id === undefined ? undefined : indexOf(id, 'id');
  const ids = idAt === undefined ? undefined : each((values) => String(values[idAt]));
  const head = row(0);
  const isIndex = (k: number) => isRowIndex(names[k]!) || (k === 0 && names[k] === '' && names.length > 1);
  const all = names.map((_, k) => k).filter((k) => names[k] !== id);
  const others = all.filter((k) => !isIndex(k));
  const lists = others.filter((k) => Array.isArray(head[k]));
  const label =
    column === undefined && others.every((k) => numberOf(head[k]) !== undefined)
      ? labelAmong(
          others.map((k) => names[k]!),
          like,
        )
      : undefined;
  const wanted =
    column !== undefined
      ? namesOf(column, names).map((one) => indexOf(one, 'column'))
      : lists.length === 1
        ? lists
        : others.filter((k) => names[k] !== label);
  const first = wanted.map((k) => numberOf(head[k]) ?? head[k]);
  if (column === undefined && wanted.length > 1 && first.some((value) => typeof value !== 'number')) {
    const odd = wanted[first.findIndex((value) => typeof value !== 'number')]!;
    if (typeof head[odd] === 'string' && MISSING.test(head[odd].trim())) throw noNumber(0, odd);
    throw new DataError(
      `${path}: column '${names[odd]}' holds no numbers; say which columns hold the examples, with \`column: ${names[wanted.find((k) => k !== odd)!]},…\`, or what names them, with \`id: ${names[odd]}\``,
    );
  }
  const key = wanted.map((k) => names[k]).join();
  const fingerprint = fingerprintOf('table', key, bytes);
  const indices = column === undefined && wanted !== lists ? all.filter(isIndex).map((k) => names[k]!) : [];
  const left = [...indices, ...(label === undefined ? [] : [label])];
  const known = {
    ...(ids ? { ids: async (indices: ArrayLike<number>) => Array.from(indices, (i) => ids[i]!) } : {}),
    ...(left.length === 0 ? {} : { notes: () => left.map((one) => leftNote(path, one)) }),
  };
  const [only] = wanted as [number];
  if (wanted.length === 1 && typeof first[0] === 'string') {
    if (ids) throw new DataError(`${path}: \`id\` names rows, and text is cut into windows that are no rows`);
    const texts = each((values, i) => {
      const value = values[only];
      if (typeof value !== 'string') throw new DataError(`${path}: line ${line(i)}: holds no text in '${names[only]}'`);
      return new TextEncoder().encode(value);
    });
    return textDataset(texts, path, name, like?.length === 1 ? like[0] : undefined);
  }
  const shape = wanted.length === 1 && Array.isArray(first[0]) ? shapeOf(first[0]) : [wanted.length];
  const size = sizeOf(shape);
  if (size === 0) throw new DataError(`${path}: line ${line(0)}: holds an empty list in '${names[only]}'`);
  const values = new Float64Array(length * size);
  for (let i = 0; i < length; i++) {
    const found = row(i);
    if (wanted.length === 1 && Array.isArray(found[only])) {
      if (!fill(found[only], shape, values, i * size)) {
        throw new DataError(
          `${path}: line ${line(i)}: '${names[only]}' is no list of numbers of shape ${shapeText(shape)}, as in line ${line(0)}`,
        );
      }
      continue;
    }
    for (const [at, k] of wanted.entries()) {
      const value = numberOf(found[k]);
      if (value === undefined) {
        throw noNumber(i, k);
      }
      values[i * size + at] = value;
    }
  }
  return { ...memoryDataset(name, length, fingerprint, { x: storedFloats(values, shape, path) }), ...known };
}

/** What programs write where there is no number. */
const MISSING = /^([-+]?(nan|inf(inity)?)|na|n\/a|null|none)?$/i;

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

async function readCsv(text: string, path: string, tabs: boolean): Promise<Table> {
  const delimiter = tabs ? '\t' : delimiterOf(text);
  const { records, lines } = plainRecords(text, delimiter, path) ?? (await parsedRecords(text, delimiter, path));
  const line = (row: number) => lines[row]!;
  if (records.length === 0) return { names: [], length: 0, row: () => [], line };
  const head = records.at(0);
  const isNumber = (field: string) => numberOf(field) !== undefined || /^[-+]?(nan|inf(inity)?)?$/i.test(field.trim());
  const hasNames = !head.every(isNumber);
  const names = head.map((field, k) => (hasNames ? field.trim() : String(k)));
  const double = names.find((one, k) => names.indexOf(one) !== k);
  if (double !== undefined) throw new DataError(`${path}: has two columns called '${double}'`);
  const skip = hasNames ? 1 : 0;
  return {
    names,
    length: records.length - skip,
    row: (index) => records.at(index + skip),
    line: (index) => line(index + skip),
  };
}

/** The fields of each line. */
interface Records {
  readonly records: { readonly length: number; at(index: number): readonly string[] };
  /** Of each record, from 1. */
  readonly lines: readonly number[];
}

/**
 * Of text without quotes, split when a record is asked for: tables of pictures have tens of millions of fields, each of
 * which would be a string in memory. Undefined where there are quotes, or line ends of their own kind.
 */
function plainRecords(text: string, delimiter: string, path: string): Records | undefined {
  if (text.includes('"') || /\r(?!\n)/.test(text)) return undefined;
  const lines: number[] = [];
  const kept: string[] = [];
  for (const [k, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const own = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (own === '') continue;
    kept.push(own);
    lines.push(k + 1);
  }
  let expected: number | undefined;
  const at = (index: number) => {
    const fields = kept[index]!.split(delimiter);
    expected ??= fields.length;
    if (fields.length !== expected) {
      const first = `${expected} as in line ${lines[0]}`;
      throw new DataError(`${path}: line ${lines[index]}: has ${fields.length} fields, expected ${first}`);
    }
    return fields;
  };
  return { records: { length: kept.length, at }, lines };
}

/** The parser is loaded when it is needed: few data are, and a page that reads none should not carry it. */
async function parsedRecords(text: string, delimiter: string, path: string): Promise<Records> {
  const { parse } = await import('csv-parse/browser/esm/sync'); // the same without Node's Buffer
  try {
    const found: unknown = parse(text, {
      bom: true,
      delimiter,
      info: true,
      skip_empty_lines: true,
      relax_column_count: false,
    });
    const all = found as { readonly record: readonly string[]; readonly info: { readonly lines: number } }[];
    const records = { length: all.length, at: (index: number) => all[index]!.record };
    return { records, lines: all.map(({ info }) => info.lines) };
  } catch (error) {
    throw new DataError(`${path}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

/**
 * Of the first line: a comma, or a semicolon or tab where there are more of them, as where the comma is the decimal
 * point.
 */
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
    const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value);
    if (Array.isArray(record) && record.some(isObject)) {
      throw new DataError(`${path}: line ${k + 1}: is a list of records, expected one record a line`);
    }
    const isRecord = isObject(record);
    const fields = isRecord ? (record as Readonly<Record<string, unknown>>) : { x: record };
    if (rows.length === 0) names.push(...Object.keys(fields));
    const missing = names.find((one) => !Object.hasOwn(fields, one));
    if (missing !== undefined)
      throw new DataError(`${path}: line ${k + 1}: has no '${missing}', as line ${lines[0]} has`);
    rows.push(names.map((one) => fields[one]));
    lines.push(k + 1);
  }
  return { names, length: rows.length, row: (index) => rows[index]!, line: (row) => lines[row]! };
}
