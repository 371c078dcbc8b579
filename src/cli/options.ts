// The options of a command: parsed by node:util, and checked.

import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { Background, Layout } from '../data/index.ts';
import { UsageError } from '../errors.ts';
import { mostThreads } from '../node/machine.ts';
import type { Provider } from '../node/runtime.ts';
import { rangeIn } from '../node/words.ts';
import type { Options } from './usage/options.ts';

export type Values = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/**
 * Splits the arguments: `--name value` or `--name=value`, where a value may start with a dash (`--pixels -1,1`). Throws
 * UsageError for anything not declared, and for a value that is missing: empty, or followed by another option (`--out
 * --json`).
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

/**
 * The arguments with every value in one piece with its option: the parser takes no value of its own that starts with a
 * dash.
 */
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
  readonly provider: Provider;
  readonly dataDir: string | undefined;
  readonly choices: DataChoices;
}

/** The values of `dataOptions`: what is said of the data, whatever the model. */
interface DataChoices {
  /** What transparent pictures are put on. */
  readonly background: Background | undefined;
  /** The column, variable or array that holds the examples. */
  readonly column: string | undefined;
  /** Where the channels of images are, in the data or for an ONNX model. */
  readonly layout: Layout | undefined;
  /** The column that names them. */
  readonly id: string | undefined;
  /** What images rows of numbers are. */
  readonly shape: readonly number[] | undefined;
  /** What the data have in place of 0 and 255; of ONNX models, what these take. */
  readonly pixels: readonly [low: number, high: number] | undefined;
}

export function runOptions(values: Values): RunOptions {
  return {
    json: values.json === true,
    seed: whole(values, 'seed', 0) ?? 0,
    batch: whole(values, 'batch', 1),
    memory: bytes(values, 'memory'),
    threads: whole(values, 'threads', 1, mostThreads()),
    provider: device(values),
    dataDir: text(values, 'data-dir'),
    choices: {
      background: background(values),
      column: text(values, 'column'),
      layout: layoutIn(values),
      id: text(values, 'id'),
      pixels: pixelRange(values),
      shape: shapeIn(values),
    },
  };
}

/** `--device`. */
function device(values: Values): Provider {
  const value = text(values, 'device') ?? 'cpu';
  if (value === 'cpu' || value === 'webgpu') return value;
  throw new UsageError(`--device is '${value}', expected cpu or webgpu (the graphics card)`);
}

/** `--shape`. */
function shapeIn(values: Values): readonly number[] | undefined {
  const value = text(values, 'shape');
  if (value === undefined) return undefined;
  if (/^[1-9]\d{0,4}([x×][1-9]\d{0,4}){1,2}$/.test(value)) return value.split(/[x×]/).map(Number);
  throw new UsageError(
    `--shape is '${value}', expected the height and width of images, or with channels, such as 28x28 or 3x32x32`,
  );
}

function background(values: Values): Background | undefined {
  const value = text(values, 'background');
  if (value === undefined) return undefined;
  const levels = { white: 255, black: 0 }[value] ?? (/^\d{1,3}$/.test(value) ? Number(value) : Number.NaN);
  if (levels <= 255) return [levels, levels, levels];
  const [, ...parts] = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(value) ?? [];
  if (parts.length === 3) return parts.map((part) => Number.parseInt(part, 16)) as [number, number, number];
  throw new UsageError(`--background is '${value}', expected white, black, a grey level 0..255 or #rrggbb`);
}

/** `--layout`. */
export function layoutIn(values: Values): Layout | undefined {
  const value = text(values, 'layout');
  if (value === undefined || value === 'nchw' || value === 'nhwc') return value;
  throw new UsageError(`--layout is '${value}', expected nchw (channels first) or nhwc (channels last)`);
}

/** `--pixels LOW,HIGH`. */
const pixelRange = (values: Values): [low: number, high: number] | undefined =>
  rangeIn(values, (name, value, reason) => new UsageError(`--${name} is '${value}'${reason}`));
