// A number in; the same number out if it is a whole one that is large enough.

import { UsageError } from '../errors.ts';

/**
 * Throws a UsageError that says what it is, what was found and what was expected, unless `least` <= value <= `most` is
 * a whole number.
 */
export function checkWhole(value: number, what: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new UsageError(`${what} is ${value}, expected a whole number ${range}`);
}
