// What a feature table says of itself: where its numbers come from and what its columns are; checked when it comes from
// a file.

import * as z from 'zod';
import type { Origin } from '../data/origin.ts';
import { defined } from '../defined.ts';
import { parseAs } from '../json.ts';

/** Where the numbers of a table come from. `start` is what a resumed or sharded run needs; see `nextExample`. */
export interface FeatureMeta {
  /** SHA-256 (hex) of the model's weights and graph. Scores compare only under the same model. */
  readonly model: string;
  /** Name of the data set, for messages and reports. */
  readonly data: string;
  /** SHA-256 (hex) of the data set's content. */
  readonly dataFingerprint: string;
  /** Which examples of which source the data set holds. Left out: not known. */
  readonly origin?: Origin;
  /** Seed of the random inputs (noise, dequantisation). */
  readonly seed: number;
  /**
   * What tells one example's noise from another's, beside the seed: its content, or its index in the source. Left out:
   * its index in the data set itself, as tables of before this was said have it.
   */
  readonly noise?: NoiseKey;
  /** Draws of the random inputs that the numbers are means over (`meanOverDraws`). Left out: one. */
  readonly noiseSamples?: number;
  /** Index in the data set of the first example of the first group; the groups follow without gaps. */
  readonly start: number;
  /** What else was measured; left out: nothing. */
  readonly views?: readonly View[];
  /** What the columns of views are called whose columns are not the layers: `parts` and `activations`. */
  readonly columns?: Readonly<Partial<Record<View, readonly string[]>>>;
  /** SHA-256 of the metric of the view `fisher`. Its numbers compare only under the same metric. */
  readonly metric?: string;
  /** SHA-256 of the basis of the view `activations`, likewise; of several aspects, of all their bases. */
  readonly basis?: string;
  /** bits/dim = nll · factor / group, where the nll is that of discrete data. Left out where that means nothing. */
  readonly bitsPerDimFactor?: number;
}

export type NoiseKey = 'content' | 'index';

/**
 * What else is measured in the same pass. `radial`: ⟨θ_j, ∇_j⟩ of every layer, how the nll changes as the tensor is
 * scaled. `fisher`: the squared norm of every layer's gradient in a diagonal metric (`FeatureMeta.metric`). `parts`:
 * terms that add up to the nll, but for what is the same for every example; of names of their own
 * (`FeatureMeta.columns`). `activations`: what flows through the model, averaged over places, along the directions in
 * which it varies most (`FeatureMeta.basis`).
 */
export type View = 'radial' | 'fisher' | 'parts' | 'activations';

/** In the order of files. */
export const viewNames = ['radial', 'fisher', 'parts', 'activations'] as const satisfies readonly View[];

/** Views whose columns are not the layers. */
const named = ['parts', 'activations'] as const satisfies readonly View[];

/** Whether a view has names of its own for its columns. */
export const isNamed = (view: View): boolean => (named as readonly View[]).includes(view);

/** Everything of a table but its numbers. */
export interface TableHead {
  /** The L parameter tensors; unique. */
  readonly names: readonly string[];
  /** Number of elements of each parameter tensor [L]. Only the χ² detector needs it. */
  readonly dims?: readonly number[];
  /** B */
  readonly group: number;
  readonly meta: FeatureMeta;
}

/** What the columns of a view are called, or those of the norms: the layers, or names of its own. */
export const columnsOf = ({ names, meta }: Pick<TableHead, 'names' | 'meta'>, view?: View): readonly string[] =>
  (view && meta.columns?.[view]) ?? names;

const positiveInteger = z.int().min(1);

export const noiseSchema = z.enum(['content', 'index']);

export const viewsSchema = z
  .array(z.enum(viewNames))
  .min(1)
  .refine((views) => new Set(views).size === views.length, 'Invalid input: expected each view once');

export const originSchema = z
  .strictObject({
    fingerprint: z.string().min(1),
    runs: z.array(z.tuple([z.int().min(0), z.int().min(1)]).refine(([a, b]) => a < b, 'Invalid input: expected a < b')),
  })
  .refine(({ runs }) => runs.length > 0, 'Invalid input: expected at least one run');

/** What a file's metadata must look like. */
const metaSchema = z
  .strictObject({
    model: z.string().min(1),
    data: z.string(),
    dataFingerprint: z.string().min(1),
    origin: originSchema.optional(),
    seed: z.int().min(0),
    noise: noiseSchema.optional(),
    noiseSamples: z.int().min(2).optional(),
    start: z.int().min(0),
    views: viewsSchema.optional(),
    columns: z.partialRecord(z.enum(named), z.array(z.string().min(1)).min(1)).optional(),
    metric: z.string().min(1).optional(),
    basis: z.string().min(1).optional(),
    bitsPerDimFactor: z.number().positive().optional(),
  })
  .refine(
    ({ views = [], columns = {} }) => named.every((view) => views.includes(view) === (columns[view] !== undefined)),
    'Invalid input: expected the columns of the views parts and activations where they are, and of these alone',
  )
  .refine(
    ({ columns = {} }) => Object.values(columns).every((list) => new Set(list).size === list.length),
    'Invalid input: expected each column once',
  );

/** Everything of a table but its numbers, as the formats store it. */
export const headSchema = z.strictObject({
  names: z.array(z.string().min(1)).min(1),
  dims: z.array(positiveInteger).optional(),
  group: positiveInteger,
  meta: metaSchema,
});

/** Checks a table's head. `where` names the file or caller. */
export function parseHead(value: unknown, where: string): TableHead {
  // zod types an optional key as `T | undefined`; under exactOptionalPropertyTypes a missing key is something else.
  const { dims, meta, ...rest } = parseAs(headSchema, value, where);
  const { bitsPerDimFactor, origin, noise, noiseSamples, views, columns, metric, basis, ...needed } = meta;
  return {
    ...rest,
    ...defined({ dims }),
    meta: {
      ...needed,
      ...defined({
        origin,
        noise,
        noiseSamples,
        views,
        columns: columns as FeatureMeta['columns'],
        metric,
        basis,
        bitsPerDimFactor,
      }),
    },
  };
}

/** The head of a table. */
export function headOf(table: TableHead): TableHead {
  const { names, dims, group, meta } = table;
  return { names, group, meta, ...defined({ dims }) };
}
