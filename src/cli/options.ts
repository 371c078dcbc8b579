// Options that several commands share: how they are declared, parsed and checked. Arguments are parsed by node:util.

import { type ParseArgsConfig, parseArgs } from 'node:util';
import {
  asPixels,
  type Dataset,
  DEFAULT_LENGTH,
  kernels,
  openData,
  type Preparation,
  prepare,
  take,
} from '../data/index.ts';
import { DataError, UsageError } from '../errors.ts';
import type { DataKind } from '../models/index.ts';
import { mostThreads } from '../runtime/limits.ts';
import { shapeText } from '../tensor/shape.ts';
import { sayNotes } from './notes.ts';

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly multiple?: boolean;
  /** Stands for the value in the help text, such as `N`. */
  readonly value?: string;
  readonly about: string;
}

export type Options = Readonly<Record<string, Option>>;

/** What every command takes. */
export const commonOptions: Options = {
  json: { type: 'boolean', about: 'print the result as JSON on stdout, nothing else' },
  seed: { type: 'string', value: 'N', about: 'seed of all randomness (default 0)' },
  batch: { type: 'string', value: 'N', about: 'examples per run (default: chosen from a memory estimate)' },
  memory: { type: 'string', value: 'SIZE', about: 'what a batch of examples may take, such as 500MB (default 1GiB)' },
  threads: { type: 'string', value: 'N', about: 'threads (default: one per core)' },
  'data-dir': { type: 'string', value: 'DIR', about: 'where known data sets lie (default: $FISHER_OOD_DATA)' },
  help: { type: 'boolean', about: 'this text' },
};

export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/**
 * Splits the arguments: `--name value` or `--name=value`, where a value may start with a dash (`--pixels -1,1`). Throws UsageError for
 * anything not declared, and for a value that is missing: empty, or followed by another option (`--out --json`).
 */
export function parse(args: readonly string[], options: Options): { values: Values; positionals: readonly string[] } {
  try {
    const config = Object.fromEntries(
      Object.entries(options).map(([name, o]) => [name, { type: o.type, multiple: o.multiple ?? false }]),
    ) satisfies ParseArgsConfig['options'];
    const joined = withValuesJoined(args, options);
    const parsed = parseArgs({ args: joined, options: config, allowPositionals: true, strict: true });
    return { values: parsed.values as Values, positionals: parsed.positionals };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The arguments with every value in one piece with its option: the parser takes no value of its own that starts with a dash. */
function withValuesJoined(args: readonly string[], options: Options): string[] {
  const out: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--') return [...out, ...args.slice(i)];
    const [, name, assigned] = /^--([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === undefined || !Object.hasOwn(options, name) || options[name]!.type !== 'string') {
      out.push(arg);
      continue;
    }
    const value = assigned ?? args[++i];
    const shown = `--${name}${options[name]!.value ? ` ${options[name]!.value}` : ''}`;
    if (value === undefined || value === '') {
      throw new UsageError(
        `--${name} is ${value === undefined ? 'without' : 'given an empty'} value, expected ${shown}`,
      );
    }
    if (assigned === undefined && value.startsWith('--')) {
      throw new UsageError(
        `--${name} is followed by '${value}', expected ${shown}; a value that starts with -- is written --${name}=${value}`,
      );
    }
    out.push(`--${name}=${value}`);
  }
  return out;
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

export function texts(values: Values, name: string): readonly string[] {
  const value = values[name];
  return Array.isArray(value) ? value : [];
}

export function required(values: Values, name: string): string {
  const value = text(values, name);
  if (value === undefined) throw new UsageError(`--${name} is needed`);
  return value;
}

/** A whole number of at least `least` and at most `most`. */
export function whole(values: Values, name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const n = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(n) || n < least || n > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new UsageError(`--${name} is '${value}', expected a whole number ${range}`);
  }
  return n;
}

export function positive(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const n = Number(value);
  if (value.trim() === '' || !Number.isFinite(n) || n <= 0) {
    throw new UsageError(`--${name} is '${value}', expected a positive number`);
  }
  return n;
}

const units = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

/** A size such as 500MB or 1.5GiB. */
function bytes(values: Values, name: string): number | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([KMG]i?B|B)$/i.exec(value) ?? [];
  if (number === undefined || Number(number) === 0) {
    throw new UsageError(`--${name} is '${value}', expected a size such as 500MB or 1.5GiB`);
  }
  return Number(number) * units[unit!.toUpperCase() as keyof typeof units];
}

/** One of a list of whole numbers separated by commas, such as 1,5. */
export function wholes(values: Values, name: string, least: number): readonly number[] | undefined {
  const value = text(values, name);
  return value?.split(',').map((part) => whole({ [name]: part }, name, least)!);
}

export interface RunOptions {
  readonly json: boolean;
  readonly seed: number;
  readonly batch: number | undefined;
  /** Bytes. */
  readonly memory: number | undefined;
  readonly threads: number | undefined;
  readonly dataDir: string | undefined;
}

export function runOptions(values: Values): RunOptions {
  return {
    json: values.json === true,
    seed: whole(values, 'seed', 0) ?? 0,
    batch: whole(values, 'batch', 1),
    memory: bytes(values, 'memory'),
    threads: whole(values, 'threads', 1, mostThreads()),
    dataDir: text(values, 'data-dir'),
  };
}

/** What of the options an extractor takes, besides its group and seed. */
export function extractorOptions({ batch, memory, threads }: RunOptions) {
  return {
    ...(batch === undefined ? {} : { batch }),
    ...(memory === undefined ? {} : { memory }),
    ...(threads === undefined ? {} : { threads }),
  };
}

/** The first `limit` examples; all of them where there is no limit or fewer. */
export function limited(data: Dataset, limit: number | undefined): Dataset {
  return limit === undefined || limit >= data.length ? data : take(data, 0, limit);
}

/** Opens a DATA argument. `like`: shape of an example where the data leave the choice, see `OpenOptions`. */
export async function openDataset(
  spec: string,
  options: Pick<RunOptions, 'dataDir' | 'seed'>,
  like?: readonly number[],
): Promise<Dataset> {
  const data = await openData(spec, {
    seed: options.seed,
    ...(options.dataDir === undefined ? {} : { dataDir: options.dataDir }),
    ...(like === undefined ? {} : { like }),
  });
  sayNotes(data);
  return data;
}

/** What is done to images before a model sees them. */
export const imageOptions: Options = {
  channels: { type: 'string', value: '1|3', about: 'convert images to grey or to RGB, first of all' },
  resize: { type: 'string', value: 'N|HxW', about: 'then resample them to N×N pixels, or H rows of W' },
  filter: {
    type: 'string',
    value: 'NAME',
    about: 'how --resize does it: nearest, bilinear, bicubic or lanczos (default)',
  },
  crop: { type: 'string', value: 'N|HxW', about: 'then cut so much out of the centre' },
  pad: { type: 'string', value: 'N|HxW', about: 'then add zeros around them, up to this size' },
};

/** The values of `imageOptions`. */
export function preparationOf(values: Values): Preparation {
  const channels = whole(values, 'channels', 1);
  if (channels !== undefined && channels !== 1 && channels !== 3) {
    throw new UsageError(`--channels is ${channels}, expected 1 (grey) or 3 (RGB)`);
  }
  const { resize, crop, pad } = {
    resize: size(values, 'resize'),
    crop: size(values, 'crop'),
    pad: size(values, 'pad'),
  };
  const filter = kernels.find((name) => name === text(values, 'filter'));
  if (filter !== text(values, 'filter')) {
    throw new UsageError(`--filter is '${text(values, 'filter')}', expected one of ${kernels.join(', ')}`);
  }
  if (filter !== undefined && resize === undefined)
    throw new UsageError('--filter is for --resize, which is not given');
  return {
    ...(channels === undefined ? {} : { channels }),
    ...(resize === undefined ? {} : { resize }),
    ...(filter === undefined ? {} : { filter }),
    ...(crop === undefined ? {} : { crop }),
    ...(pad === undefined ? {} : { pad }),
  };
}

function size(values: Values, name: string): [height: number, width: number] | undefined {
  const value = text(values, name);
  if (value === undefined) return undefined;
  const [, height, width = height] = /^([1-9]\d{0,4})(?:[x×]([1-9]\d{0,4}))?$/.exec(value) ?? [];
  if (height === undefined) {
    throw new UsageError(`--${name} is '${value}', expected a size in pixels such as 32 or 24x32`);
  }
  return [Number(height), Number(width)];
}

/** A DATA argument that must hold images, prepared. */
export async function openImages(
  spec: string,
  options: Pick<RunOptions, 'dataDir' | 'seed'>,
  preparation: Preparation = {},
): Promise<Dataset> {
  const data = await openDataset(spec, options);
  if (data.shapes.x?.length !== 3) throw new DataError(`${spec}: holds no images`);
  return prepare(asPixels(data), preparation);
}

/** A DATA argument that must hold what an architecture takes: images prepared, or text in windows of `length` bytes. */
export async function openExamples(
  kind: DataKind,
  spec: string,
  options: Pick<RunOptions, 'dataDir' | 'seed'>,
  { length, ...preparation }: Preparation & { readonly length?: number | undefined },
): Promise<Dataset> {
  if (kind === 'images') {
    if (length !== undefined) throw new UsageError('--length is for text, the model takes images');
    return openImages(spec, options, preparation);
  }
  const [unfit] = Object.keys(preparation);
  if (unfit !== undefined) throw new UsageError(`--${unfit} is for images, the model takes bytes`);
  const data = await openDataset(spec, options, [length ?? DEFAULT_LENGTH]);
  const shape = data.shapes.x;
  if (shape?.length !== 1) {
    const found = shape ? `examples of shape ${shapeText(shape)}` : `no array 'x'`;
    throw new DataError(`${spec}: holds ${found}, expected sequences of bytes, of shape [length]`);
  }
  return asPixels(data); // checks that they are 0..255
}
