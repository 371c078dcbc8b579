// What a DATA argument says: where the data are, and which part of them; found by what is on the disk.

import { join, sep } from 'node:path';
import { naturally } from '../data/natural.ts';
import { DataError } from '../errors.ts';
import { pathKind } from './files.ts';

/** A part of a data set, as in Python: negative numbers count from the end. */
export interface Slice {
  readonly start: number | undefined;
  readonly end: number | undefined;
}

/** One thing said behind the rest of a DATA argument. */
export type Suffix =
  | { readonly kind: 'slice'; readonly inner: string; readonly slice: Slice }
  | { readonly kind: 'labels'; readonly inner: string; readonly labels: string };

/**
 * The last suffix of `spec`: `[start:end]`, either of which may be left out or count from the end, or `{0-4,7}`.
 * Undefined where there is none, or a file or folder has that very name. Throws a DataError for brackets that look like
 * a slice and are none.
 */
export async function suffixOf(spec: string): Promise<Suffix | undefined> {
  const sliced = /^(.+)\[([^[\]/\\]*)\]$/s.exec(spec);
  const labelled = /^(.+)\{([\d,-]+)\}$/s.exec(spec);
  if (!sliced && !labelled) return undefined;
  if ((await pathKind(spec)) !== 'nothing') return undefined;
  if (labelled) return { kind: 'labels', inner: labelled[1]!, labels: labelled[2]! };
  const [, inner, text] = sliced!;
  const [, start, end] = /^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*$/.exec(text!) ?? [];
  if (!/^\s*(-?\d+)?\s*:\s*(-?\d+)?\s*$/.test(text!)) {
    if (!/^[-\d\s]*:[-\d\s:]*$/.test(text!)) return undefined; // a set of letters in a pattern
    throw new DataError(
      `${spec}: '[${text}]' is no slice, expected [start:end], such as [0:100], [:100] or [-100:], without a step`,
    );
  }
  const number = (digits: string | undefined) => (digits === undefined ? undefined : Number(digits));
  return { kind: 'slice', inner: inner!, slice: { start: number(start), end: number(end) } };
}

/**
 * The examples of a slice in a set of `length`. Throws a DataError where it reaches beyond them: a slice is never
 * clamped.
 */
export function placeOf({ start, end }: Slice, length: number, spec: string): readonly [start: number, end: number] {
  const from = start === undefined ? 0 : start < 0 ? length + start : start;
  const to = end === undefined ? length : end < 0 ? length + end : end;
  if (from < 0 || from >= to || to > length) {
    const text = `[${start ?? ''}:${end ?? ''}]`;
    throw new DataError(`${spec}: range ${text} does not fit, the set has ${length} examples`);
  }
  return [from, to];
}

/** What a DATA argument that is no known set names on the disk. */
export interface Places {
  readonly folder?: string;
  /** In natural order; none where there is a folder. */
  readonly files: readonly string[];
  /** What stands behind a colon: the name of an array, variable or column. */
  readonly member?: string;
}

/** The file, the folder, or the files of the pattern; undefined where there is nothing of the kind. */
export async function placesOf(spec: string): Promise<Places | undefined> {
  const kind = await pathKind(spec);
  if (kind === 'folder') return { folder: spec, files: [] };
  if (kind === 'file') return { files: [spec] };
  if (isPattern(spec)) {
    const files = await matching(spec);
    if (files.length > 0) return { files };
  }
  const [, inner, member] = /^(.+):([^:/\\]+)$/s.exec(spec) ?? [];
  if (inner === undefined) return memberOf(spec);
  const places = await placesOf(inner);
  return places && places.member === undefined ? { ...places, member: member! } : memberOf(spec);
}

/** An array of a file whose name has slashes or colons itself, as those in groups have. */
async function memberOf(spec: string): Promise<Places | undefined> {
  for (let at = spec.indexOf(':', 1); at > 0; at = spec.indexOf(':', at + 1)) {
    const file = spec.slice(0, at);
    if (at + 1 < spec.length && (await pathKind(file)) === 'file') return { files: [file], member: spec.slice(at + 1) };
  }
  return undefined;
}

/** The files whose names fit, in natural order; hidden ones only where the pattern names them so. */
async function matching(pattern: string): Promise<readonly string[]> {
  const { glob } = await import('tinyglobby');
  const parts = pattern.split(sep === '/' ? '/' : /[/\\]/);
  const first = parts.findIndex(isPattern);
  const base = parts.slice(0, first).join(sep);
  const cwd = first === 0 ? '.' : base === '' ? sep : base;
  if ((await pathKind(cwd)) !== 'folder') return [];
  const rest = parts.slice(first).join('/');
  const found = await glob([rest], { cwd, onlyFiles: true, expandDirectories: false, dot: /(^|\/)\./.test(rest) });
  return found.map((file) => (first === 0 ? file : join(base === '' ? sep : base, file))).sort(naturally);
}

/** Whether a name has the letters of patterns: `*`, `?`, `[…]` or `{a,b}`. */
export const isPattern = (path: string): boolean => /[*?]|\[[^\]]+\]|\{[^}]*,[^}]*\}/.test(path);
