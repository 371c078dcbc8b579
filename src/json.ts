// JSON from outside in, the value that was expected out; or an error that says whose it is, the place in it, what was
// found and what was expected.

import type * as z from 'zod';
import { DataError, type FisherError } from './errors.ts';

type Fault = new (message: string, options?: ErrorOptions) => FisherError;

/**
 * The value in a text, or in its bytes (UTF-8). Throws a DataError, or another `Fault`, that begins with `where` and
 * ends with the `cure`.
 */
export function parseJson(text: string | Uint8Array, where: string, Fault: Fault = DataError, cure = ''): unknown {
  try {
    return JSON.parse(typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : 'it is not text in UTF-8';
    throw new Fault(`${where}: is not valid JSON: ${reason}${cure}`, { cause: error });
  }
}

/**
 * Checks JSON that came from `where`. Throws a DataError, or another `Fault`, that names the place in the value, what
 * was found and expected.
 */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown, where: string, Fault: Fault = DataError): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const path = issue.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  const more = result.error.issues.length > 1 ? ` (and ${result.error.issues.length - 1} more)` : '';
  // zod says what it received only where the type is wrong.
  const found = issue.path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown>)[key], value);
  const received = typeof found === 'number' || typeof found === 'string' ? `, found ${JSON.stringify(found)}` : '';
  throw new Fault(
    `${where}: ${path === '' ? '' : `at '${path.replace(/^\./, '')}': `}${issue.message}${received.slice(0, 80)}${more}`,
  );
}
