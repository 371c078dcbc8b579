// What identifies an ONNX model: its bytes, its external data and how it is read, whatever way that was written down.

import { ModelError } from '../errors.ts';
import { host } from '../host.ts';
import type { ExternalStore } from './external.ts';
import type { KnownOptions } from './onnx.ts';

/**
 * SHA-256 of all that scores depend on. Options that mean the same give the same hash. `reading`: which tensors were
 * taken for parameters, where these are not all; a file that is read as ever keeps its hash.
 */
export async function onnxHash(
  bytes: Uint8Array,
  external: ExternalStore,
  options: KnownOptions,
  reading: string,
): Promise<string> {
  const hash = host().sha256().update(bytes);
  for (const file of await external.hashes()) hash.update(JSON.stringify(file));
  return hash
    .update(JSON.stringify(normalForm(options)))
    .update(reading)
    .digest();
}

/** Bytes that are hashed to find out whether an older version made a detector: some ten seconds. */
const MOST_FORMER = 2 ** 33;

/**
 * The hash that versions before this one gave: it depended on the order of the options as they stand here, and took
 * external data in once for every tensor, as it does here. Undefined for a model for which that would take minutes, as
 * it did whenever they opened it.
 */
export function formerHash(
  bytes: Uint8Array,
  external: ExternalStore,
  options: KnownOptions,
  reading: string,
): string | undefined {
  if (external.bytesAsOften > MOST_FORMER) return undefined;
  const hash = host().sha256().update(bytes);
  external.eachAsOften((piece) => hash.update(piece));
  return hash
    .update(JSON.stringify({ ...options, params: options.params?.source }))
    .update(reading)
    .digest();
}

/**
 * The options as a command line gives them, whose hashes detector files carry: the lists there even where they are
 * empty, everything in one order, nothing twice, and no objective that says what is done anyway.
 */
function normalForm(options: KnownOptions): unknown {
  const { input, objective, pixels, normal = [], uniform = [], constants = {}, loss, params, ...more } = options;
  const { frozen, stopGradient = [], integers = {}, dims: _, ...rest } = more;
  const unknown = Object.entries(rest).find(([, value]) => value !== undefined);
  if (unknown) throw new ModelError(`there is no option '${unknown[0]}' for an ONNX model`);
  const made = objective && objective.kind !== 'nll' ? objective : undefined;
  return {
    input,
    ...(made ? { objective: { kind: made.kind, options: sorted(made.options) } } : {}),
    pixels: pixels && [pixels[0], pixels[1]],
    normal: [...new Set(normal)].sort(),
    uniform: [...new Set(uniform)].sort(),
    constants: sorted(constants),
    loss,
    params: params && patternText(params),
    ...(frozen ? { frozen: patternText(frozen) } : {}),
    ...(Object.keys(integers).length > 0 ? { integers: sorted(integers) } : {}),
    ...(stopGradient.length > 0 ? { stopGradient: [...new Set(stopGradient)].sort() } : {}),
  };
}

const sorted = <T>(record: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

/** A pattern with the flags that decide what matches; a command line's has none of them. */
function patternText({ source, flags }: RegExp): string {
  const matter = flags.replace(/[dgu]/g, '');
  return matter === '' ? source : `/${source}/${matter}`;
}
