// Checks of configurations that the architectures share.

import * as z from 'zod';
import { ModelError } from '../errors.ts';
import type { Shape } from '../tensor/shape.ts';

/** The configuration with defaults filled in; throws ModelError naming the offending settings. */
export function parseConfig<T>(model: string, schema: z.ZodType<T>, input: unknown): T {
  const parsed = schema.safeParse(input ?? {});
  if (parsed.success) return parsed.data;
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape).join(', ') : '';
  const issues = parsed.error.issues.map((issue) => {
    const there = issue.code === 'unrecognized_keys' ? ` (there are ${known})` : '';
    return `${issue.path.length > 0 ? `${issue.path.join('.')}: ` : ''}${issue.message}${there}`;
  });
  throw new ModelError(`${model} configuration: ${issues.join('; ')}`);
}

/** What an image may have; more would not be read either. */
const [MAX_CHANNELS, MAX_PIXELS] = [64, 2 ** 24];

/** Throws ModelError unless data is [c, h, w] of sizes that can be, with h and w divisible by `by`. */
export function requireDivisible(what: string, data: Shape, by: number): void {
  const [c, h, w] = data;
  if (data.length !== 3 || !c || !h || !w) {
    throw new ModelError(`${what} needs images of shape [channels, height, width], got [${data.join(', ')}]`);
  }
  if (c > MAX_CHANNELS || h * w > MAX_PIXELS) {
    throw new ModelError(
      `${what} needs images of at most ${MAX_CHANNELS} channels and ${MAX_PIXELS} pixels, got [${data.join(', ')}]`,
    );
  }
  if (h % by === 0 && w % by === 0) return;
  const padded = Math.ceil(Math.max(h, w) / by) * by;
  throw new ModelError(
    `${what} needs height and width divisible by ${by}, got ${h}×${w}; pad the images with \`pad: [${padded}, ${padded}]\``,
  );
}

/** A width or another size; what is larger could not be meant, and would be built for minutes before it fails. */
export const positive = (fallback: number) => z.int().positive().max(MAX_WIDTH).default(fallback);
const MAX_WIDTH = 2 ** 16;

/** How often a part is repeated: each time is many nodes of the graph. */
export const depth = (fallback: number) => z.int().positive().max(1000).default(fallback);

/** Components of a mixture. A single one's weight could never have a gradient. */
export const components = (fallback: number) => z.int().min(2).max(1000).default(fallback);
