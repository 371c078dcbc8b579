// The schema of a Parquet file in; its columns, and what examples each could hold, out.

import type { FileMetaData } from 'hyparquet';
import { DataError } from '../errors.ts';
import type { Physical } from './parquet-values.ts';
import { isRowIndex, labelAmong, listed, namesOf } from './table.ts';

type Element = FileMetaData['schema'][number];

/** A leaf of the schema that holds something for every row. */
export interface Column {
  /** What a user calls it: that of the outermost field. */
  readonly name: string;
  /** All names down to the leaf, joined by dots, as the footer has them. */
  readonly path: string;
  readonly kind: 'pictures' | 'text' | 'number' | 'numbers' | 'other';
  readonly physical: Physical;
  /** How integers are to be read where they are narrower than they are stored, such as UINT_8; FLOAT16. */
  readonly logical: string | undefined;
  /** What the values mean where they are of a kind that is not read, such as DECIMAL, DATE or MAP. */
  readonly means: string | undefined;
  readonly maxDefinition: number;
  readonly maxRepetition: number;
}

/** The usual names of columns of pictures. */
const USUAL = ['image', 'img'] as const;

/**
 * The leaves, in their order. Of a struct with a field `bytes`, as the Hugging Face hub has pictures, that is what its
 * name means.
 */
export function columnsOf(schema: FileMetaData['schema']): readonly Column[] {
  const columns: Column[] = [];
  let at = 1; // 0 is the root
  while (at < schema.length) {
    const end = subtreeEnd(schema, at);
    const top = schema[at]!;
    const leaves = leavesOf(schema, at, []);
    const bytes = leaves.find(({ elements }) => elements.length === 2 && elements[1]!.name === 'bytes');
    for (const { elements } of leaves) {
      const leaf = elements.at(-1)!;
      const lists = elements.filter((e) => e.repetition_type === 'REPEATED').length;
      const isStruct = leaves.length > 1 || (elements.length > 1 && lists === 0);
      const own = bytes?.elements === elements;
      columns.push({
        name: isStruct && !own ? elements.map((e) => e.name).join('.') : top.name,
        path: elements.map((e) => e.name).join('.'),
        kind: elements.some(isMap) ? 'other' : kindOf(leaf, lists, own),
        physical: { type: leaf.type ?? 'none', length: leaf.type_length },
        logical: logicalOf(leaf),
        means: elements.some(isMap) ? 'map' : (leaf.converted_type ?? leaf.logical_type?.type),
        maxDefinition: elements.filter((e) => e.repetition_type !== 'REQUIRED').length,
        maxRepetition: lists,
      });
    }
    at = end;
  }
  return columns;
}

/**
 * What becomes the examples: the column or columns named, or else the only ones that can be meant. Throws a DataError
 * where that is not to be told.
 */
export function chosen(
  path: string,
  columns: readonly Column[],
  column: string | undefined,
  id: string | undefined,
  like: readonly number[] | undefined,
) {
  if (column !== undefined) {
    const names = namesOf(
      column,
      columns.map(({ name }) => name),
    );
    const found = names.map((name) => {
      const one = columns.find((c) => c.name === name) ?? columns.find((c) => c.path === name);
      if (!one) throw new DataError(`${path}: has no column '${name}'; it has ${listed(columns.map((c) => c.name))}`);
      if (one.kind === 'other')
        throw new DataError(`${path}: column '${name}' is of type ${typeText(one)}, which is not read`);
      if (names.length > 1 && one.kind !== 'number') {
        throw new DataError(`${path}: column '${name}' is ${typeText(one)}; of several columns each holds one number`);
      }
      return one;
    });
    return found;
  }
  const others = columns.filter((c) => c.name !== id && c.path !== id && !isRowIndex(c.name));
  const usual = others.filter((c) => USUAL.some((name) => name === c.name) && c.kind !== 'text' && c.kind !== 'number');
  for (const candidates of [
    usual,
    others.filter((c) => c.kind === 'pictures'),
    others.filter((c) => c.kind === 'numbers'),
    others.length > 0 && others.every((c) => c.kind === 'number')
      ? others.filter((c) => c.name !== labelOf(others, like))
      : [],
    others.filter((c) => c.kind === 'text'),
  ]) {
    const single = candidates.every((c) => c.kind === 'number');
    if (candidates.length === 1 || (single && candidates.length > 0)) {
      const [first] = candidates as [Column];
      if (first.kind === 'other') {
        throw new DataError(`${path}: column '${first.name}' is of type ${typeText(first)}, which is not read`);
      }
      return candidates;
    }
    if (candidates.length > 1) break;
  }
  const all = columns.map((c) => `${c.name} (${typeText(c)})`);
  if (others.every((c) => c.kind === 'other')) {
    throw new DataError(
      `${path}: has the columns ${listed(all)}, expected pictures, numbers, lists of numbers or text`,
    );
  }
  throw new DataError(`${path}: has the columns ${listed(all)}; say which holds the examples, with \`column: NAME\``);
}

/** Of columns with a number each, the one that is a label, see `labelAmong`. */
const labelOf = (columns: readonly Column[], like: readonly number[] | undefined) =>
  labelAmong(
    columns.map((c) => c.name),
    like,
  );

export function typeText({ kind, physical, logical, means }: Column): string {
  const type = ((kind === 'other' ? means : undefined) ?? logical ?? physical.type).toLowerCase();
  const words = { pictures: 'binary', text: 'text', number: type, numbers: `lists of ${type}`, other: type } as const;
  return words[kind];
}

const isMap = (element: Element): boolean =>
  element.converted_type === 'MAP' ||
  element.converted_type === 'MAP_KEY_VALUE' ||
  element.logical_type?.type === 'MAP';

function kindOf(leaf: Element, lists: number, isPicture: boolean): Column['kind'] {
  const isText =
    leaf.converted_type === 'UTF8' || leaf.logical_type?.type === 'STRING' || leaf.converted_type === 'ENUM';
  const isOther = ['DECIMAL', 'JSON', 'BSON', 'INTERVAL'].includes(leaf.converted_type ?? '');
  if (leaf.type === 'BYTE_ARRAY') {
    if (lists > 0 || isOther) return 'other';
    return isText && !isPicture ? 'text' : 'pictures';
  }
  const isNumber = ['INT32', 'INT64', 'FLOAT', 'DOUBLE', 'BOOLEAN'].includes(leaf.type ?? '');
  const isHalf = leaf.type === 'FIXED_LEN_BYTE_ARRAY' && leaf.logical_type?.type === 'FLOAT16';
  const isTime = /^(DATE|TIME|TIMESTAMP)/.test(leaf.converted_type ?? leaf.logical_type?.type ?? '');
  if ((!isNumber && !isHalf) || isOther || isTime) return 'other';
  return lists > 0 ? 'numbers' : 'number';
}

function logicalOf(leaf: Element): string | undefined {
  if (leaf.logical_type?.type === 'FLOAT16') return 'FLOAT16';
  return /^U?INT_/.test(leaf.converted_type ?? '') ? leaf.converted_type : undefined;
}

interface Leaf {
  readonly elements: readonly Element[];
}

function leavesOf(schema: FileMetaData['schema'], at: number, above: readonly Element[]): readonly Leaf[] {
  const elements = [...above, schema[at]!];
  const children = schema[at]!.num_children ?? 0;
  if (children === 0) return [{ elements }];
  if (elements.length > 32) throw new DataError('the schema nests more than 32 deep');
  const leaves: Leaf[] = [];
  let next = at + 1;
  for (let k = 0; k < children && next < schema.length; k++) {
    leaves.push(...leavesOf(schema, next, elements));
    next = subtreeEnd(schema, next);
  }
  return leaves;
}

/**
 * One past the last descendant of element `at`. The schema is a flat list in depth-first order, each element with its
 * number of children.
 */
function subtreeEnd(schema: FileMetaData['schema'], at: number): number {
  let open = 1;
  let i = at;
  while (open > 0 && i < schema.length) {
    open += (schema[i]!.num_children ?? 0) - 1;
    i++;
  }
  return i;
}
