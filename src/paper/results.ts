// The file of results: what all experiments have measured and found, as text and back.

import * as z from 'zod';
import { parseAs, parseJson } from '../json.ts';

const resultsSchema = z.looseObject({
  version: z.literal(1),
  preset: z.string(),
  seed: z.int().min(0),
  /** Sets that could not be had. */
  missing: z.array(z.string()),
  /** What heads the report, labels and values. Files of before do not have it. */
  facts: z.array(z.tuple([z.string(), z.string()])).optional(),
  experiments: z.record(
    z.string(),
    z.looseObject({
      claim: z.string(),
      finding: z.string(),
      numbers: z.unknown(),
      /** See `Measured`. */
      figures: z.unknown().optional(),
    }),
  ),
});

/** The file of results; `parseResults` checks it. */
export type Results = z.infer<typeof resultsSchema>;

/** Throws a DataError that begins with `where` for anything but a file of results. */
export function parseResults(text: string, where: string): Results {
  return parseAs(resultsSchema, parseJson(text, where), where);
}

/** Indented, with lists of numbers on one line each. No string can hold the line breaks that the pattern asks for. */
export function formatResults(results: Results): string {
  const text = JSON.stringify(results, null, 1);
  return `${text.replace(/\[\n\s*(-?[\d.][^"[\]{}]*?)\s*\]/g, (_, list: string) => `[${list.replace(/\s+/g, ' ')}]`)}\n`;
}
