// What a command says: progress on stderr, results on stdout.

import { once } from 'node:events';

/** Replaces the current line on a terminal; writes a line of its own elsewhere. */
export function progressLine(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r${shown(text)}\x1b[K` : `${shown(text)}\n`);
}

/** Control characters: all but the tab and the line end, and those that turn the direction of writing. */
const CONTROL = /(?![\t\n])[\p{Cc}\p{Bidi_Control}]/gu;

/**
 * The text with control characters spelt out, as JSON has them: the name of a file must not give orders to a terminal.
 * And with options of the library as flags.
 */
function shown(text: string): string {
  return asFlags(text).replace(CONTROL, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const unquoted = (text: string) => text.replace(/^'(.*)'$/s, '$1');

/** Options that messages of the library speak of: the flag of each, and how it takes a value. */
const flags: Readonly<Record<string, readonly [flag: string, value?: (text: string) => string]>> = {
  background: ['--background'],
  batch: ['--batch'],
  column: ['--column'],
  constants: ['--constant', (record) => pair(record)],
  dataDir: ['--data-dir'],
  dims: ['--dim', (record) => pair(record)],
  id: ['--id'],
  integers: ['--integer', (record) => pair(record).replace(/=\[(.*), (.*)\]$/, '=$1..$2')],
  leaveOut: ['--skip-not-finite', () => ''],
  loss: ['--loss', unquoted],
  normal: ['--normal', (list) => list.replace(/^\['(.*)'\]$/s, '$1')],
  objective: ['--objective', unquoted],
  params: ['--params'],
  pad: ['--pad', (size) => [...new Set(numbers(size))].join('x')],
  shape: ['--shape'],
  pixels: ['--pixels', (range) => numbers(range).join()],
  uniform: ['--uniform', (list) => list.replace(/^\['(.*)'\]$/s, '$1')],
};

/** `{ mask: 0 }` and `{ 'x.1': 0 }` as what flags take: `mask=0`, `x.1=0`. */
const pair = (record: string) => record.replace(/^\{ (?:'(.*)'|(\S+)): (.*) \}$/s, '$1$2=$3');

const numbers = (list: string) => list.replace(/[[\]\s]/g, '').split(',');

/**
 * Messages of the library name its options as `pixels: [0, 1]` or `column`, in these quotes, which nothing else has;
 * here they are flags.
 */
export function asFlags(text: string): string {
  return text.replace(/`([a-zA-Z]+)(?:: ([^`]+))?`/g, (whole, name: string, value?: string) => {
    if (!Object.hasOwn(flags, name)) return whole;
    const [flag, write = (same) => same] = flags[name]!;
    return `${flag} ${value === undefined ? '' : write(value)}`.trimEnd();
  });
}

/** Ends a line of progress on a terminal, so that what follows starts on a new one. */
export function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\n');
}

export function say(text: string): void {
  process.stderr.write(`${shown(text)}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${shown(text)}\n`);
}

/** Part of a long result, without a line end; waits until the reader has taken it. */
export async function printPart(text: string): Promise<void> {
  if (!process.stdout.write(shown(text))) await once(process.stdout, 'drain');
}

function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/** How fast work goes and how long it still takes, as progress lines end. */
export function pace(examplesPerSecond: number, secondsLeft: number): string {
  return `${examplesPerSecond.toFixed(0)} examples/s  ${duration(secondsLeft)} left`;
}

/** Calls `show` at most every `seconds`, so that a log of progress stays readable. */
export function throttled<T>(show: (value: T) => void, seconds = process.stderr.isTTY ? 0.2 : 10): (value: T) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    const now = performance.now() / 1000;
    if (now - last < seconds) return;
    last = now;
    show(value);
  };
}
