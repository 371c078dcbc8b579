// The combined detector to plain JSON, and back with everything checked.

import * as z from 'zod';
import { defined } from '../../defined.ts';
import type { NormalScores } from '../../densities/normal-scores.ts';
import { packed, unpacked } from '../../densities/packed.ts';
import { rowsOver } from '../../densities/rows.ts';
import type { Standard } from '../../densities/standard.ts';
import { DataError } from '../../errors.ts';
import { parseAs } from '../../json.ts';
import { isOfLayers } from './columns.ts';
import type { Combined } from './fit.ts';
import { type FittedView, surroundings, views } from './views.ts';

const numbers = z.array(z.number());
const whole = z.int().min(0);
const base64 = z.string();

const scoresSchema = z
  .strictObject({ scores: numbers.min(1), z: numbers.min(1), slopes: z.tuple([z.number(), z.number()]) })
  .refine((map) => map.scores.length === map.z.length, 'Invalid input: expected as many quantiles as scores')
  .refine((map) => map.scores.every((s, i) => i === 0 || s > map.scores[i - 1]!), 'Invalid input: expected ascending');

const modelSchema = z.discriminatedUnion('density', [
  z.strictObject({ density: z.literal('normal'), precision: base64 }),
  z.strictObject({ density: z.literal('local-outlier-factor'), n: z.int().min(2), rows: base64 }),
  z.strictObject({ density: z.literal('contrast'), centre: base64, directions: z.array(base64).min(1) }),
]);

/** As in files: matrices are base64 of float32. */
export const combinedSchema = z.strictObject({
  aspects: z.array(z.string().min(1)),
  n: z.int().min(1),
  repeats: z.int().min(1).optional(),
  related: z.boolean(),
  seed: whole,
  floors: z.strictObject({ norms: z.array(z.number().positive()), fisher: z.array(z.number().positive()) }),
  views: z
    .array(
      z.strictObject({
        name: z.string(),
        aspect: whole,
        standard: z.strictObject({
          p: z.int().min(1),
          columns: z.array(whole).min(1),
          mean: numbers,
          sd: z.array(z.number().positive()),
        }),
        model: modelSchema,
      }),
    )
    .min(1),
  without: z
    .array(z.strictObject({ view: z.string(), aspect: whole.optional(), reason: z.string().min(1) }))
    .optional(),
  groups: z
    .array(
      z.strictObject({
        group: z.int().min(1),
        inner: z.array(z.array(scoresSchema).min(1)),
        outer: z.array(scoresSchema),
        calibration: z.strictObject({ combined: scoresSchema, gradient: scoresSchema }),
      }),
    )
    .min(1),
});

/** The combined detector as files have it. */
export type StoredCombined = z.infer<typeof combinedSchema>;

/** Plain JSON for a file; `combinedOf` opens it again. */
export function storeCombined(combined: Combined): StoredCombined {
  const { aspects, n, repeats, related, seed, floors, views: fitted, without, groups } = combined;
  return {
    aspects: [...aspects],
    n,
    ...defined({ repeats }),
    related,
    seed,
    floors: { norms: [...floors.norms], fisher: [...floors.fisher] },
    views: fitted.map(({ view, aspect, standard, model }) => ({
      name: view.name,
      aspect,
      standard: { p: standard.p, columns: [...standard.columns], mean: [...standard.mean], sd: [...standard.sd] },
      model: storeModel(model),
    })),
    ...(without === undefined ? {} : { without: without.map((one) => defined({ ...one })) }),
    groups: groups.map(({ group, inner, outer, calibration }) => ({
      group,
      inner: inner.map((maps) => maps.map(storeScores)),
      outer: outer.map(storeScores),
      calibration: { combined: storeScores(calibration.combined), gradient: storeScores(calibration.gradient) },
    })),
  };
}

const storeScores = ({ scores, z: quantiles, slopes }: NormalScores) => ({
  scores: [...scores],
  z: [...quantiles],
  slopes: [slopes[0], slopes[1]] as [number, number],
});

function storeModel(model: FittedView['model']): StoredCombined['views'][number]['model'] {
  if (model.density === 'normal') return { density: 'normal', precision: packed(model.normal.precision) };
  if (model.density === 'contrast') {
    const { centre, directions } = model.contrast;
    return { density: 'contrast', centre: packed(centre), directions: directions.map(packed) };
  }
  return { density: 'local-outlier-factor', n: model.rows.n, rows: packed(model.rows.data) };
}

/**
 * Throws a DataError that begins with `where` for anything malformed. `layers`: those of the detector file, which every
 * aspect has.
 */
export function openCombined(value: unknown, layers: readonly string[], where: string): Combined {
  const stored = parseAs(combinedSchema, value, where);
  const { aspects, n, repeats, related, seed, floors, without, groups } = stored;
  const names = namesOf(aspects, layers);
  const L = names.length;
  const check = (holds: boolean, what: string) => {
    if (!holds) throw new DataError(`${where}: ${what}`);
  };
  check(floors.norms.length === L && floors.fisher.length === L, `has other than ${L} floors, one for each layer`);
  const sizes = groups.map(({ group }) => group);
  check(
    sizes.every((B, k) => k === 0 || B > sizes[k - 1]!),
    'group sizes do not ascend',
  );
  const fitted = stored.views.map(({ name, aspect, standard, model }): FittedView => {
    const view = views.find((one) => one.name === name);
    if (!view) throw new DataError(`${where}: has the unknown view '${name.slice(0, 80)}'`);
    const at = `${where}: view ${name}`;
    // How many directions activations have, the basis knows.
    const widths = { likelihood: 1, activations: standard.p };
    const p = view.of.reduce((sum, group) => sum + (isOfLayers(group) ? layers.length : widths[group]), 0);
    if (aspect >= Math.max(1, aspects.length)) throw new DataError(`${at}: is of aspect ${aspect}, there is none`);
    checkStandard(standard, p, at);
    if (model.density !== view.density) throw new DataError(`${at}: is a ${model.density}, expected ${view.density}`);
    return { view, aspect, standard, model: openModel(model, standard.columns.length, seed, at) };
  });
  for (const { view, aspect = 0 } of without ?? []) {
    check(
      views.some(({ name }) => name === view) && aspect < Math.max(1, aspects.length),
      `is without the unknown view '${view.slice(0, 80)}'`,
    );
  }
  for (const { group, inner, outer } of groups) {
    const at = `${where}: groups of ${group}`;
    const counts = fitted.map(({ model }) => (model.density === 'contrast' ? model.contrast.directions.length : 1));
    const right = inner.length === counts.length && outer.length === counts.length;
    if (!right || inner.some((maps, k) => maps.length !== counts[k])) {
      throw new DataError(`${at}: has other maps than its views need`);
    }
  }
  return { names, aspects, n, repeats, related, seed, floors, views: fitted, without, groups };
}

function checkStandard({ p, columns, mean, sd }: Standard, expected: number, where: string): void {
  const ascending = columns.every((c, k) => c < p && (k === 0 || c > columns[k - 1]!));
  if (p !== expected || !ascending || mean.length !== columns.length || sd.length !== columns.length) {
    throw new DataError(`${where}: its columns are not some of ${expected}, with a mean and a deviation for each`);
  }
}

function openModel(model: z.infer<typeof modelSchema>, q: number, seed: number, where: string): FittedView['model'] {
  if (model.density === 'normal') {
    return { density: 'normal', normal: { p: q, precision: unpacked(model.precision, q * q, where) } };
  }
  if (model.density === 'contrast') {
    const directions = model.directions.map((text) => unpacked(text, q, where));
    return { density: 'contrast', contrast: { centre: unpacked(model.centre, q, where), directions } };
  }
  return surroundings(rowsOver(unpacked(model.rows, model.n * q, where), q), seed);
}

/** As it is read again from a file: matrices to float32. Scores of a fit and of its file are then the same. */
export const asStored = (combined: Combined): Combined =>
  openCombined(storeCombined(combined), layersIn(combined), 'the combined detector');

/** The layers of each aspect as their columns are called. */
export const namesOf = (aspects: readonly string[], layers: readonly string[]): readonly string[] =>
  aspects.length === 0 ? layers : aspects.flatMap((aspect) => layers.map((layer) => `${aspect} ${layer}`));

function layersIn({ aspects, names }: Combined): readonly string[] {
  if (aspects.length === 0) return names;
  return names.slice(0, names.length / aspects.length).map((name) => name.slice(aspects[0]!.length + 1));
}
