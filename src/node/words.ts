// Values of the options of a command line, which detector files keep too; what they say, out.

import type { FisherError } from '../errors.ts';

/** By the names of the command line's options: a text, a list of texts, or true. */
export type Words = Readonly<Record<string, unknown>>;

/** The error for the value of an option, with what is wrong about it: `, expected …`. */
export type Wrong = (name: string, value: string, reason: string) => FisherError;

export const text = (words: Words, name: string): string | undefined => {
  const value = words[name];
  return typeof value === 'string' ? value : undefined;
};

export const texts = (words: Words, name: string): readonly string[] => {
  const value = words[name];
  return Array.isArray(value) ? value : [];
};

/** The range that stands for 0..255. */
export function rangeIn(words: Words, wrong: Wrong): [low: number, high: number] | undefined {
  const range = text(words, 'pixels');
  if (range === undefined) return undefined;
  const [low, high, ...more] = range.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (low === undefined || high === undefined || more.length > 0 || !(low < high) || !Number.isFinite(high - low)) {
    throw wrong('pixels', range, ', expected two numbers such as -1,1');
  }
  return [low, high];
}
