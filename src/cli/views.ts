// What is measured beside the norms, as `--features` says it.

import { DataError, UsageError } from '../errors.ts';
import { type Metric, type MetricForm, metricForms, unpacked, type View, viewNames } from '../features/index.ts';
import { readDetector } from '../node/index.ts';
import { detectorOf } from '../scoring/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { text, type Values } from './options.ts';

/** What a detector file keeps for the view `fisher`. Throws where it has none, or was fitted with another model. */
export async function metricFrom(path: string, model: ScoringModel): Promise<Metric> {
  const { metric } = detectorOf(await readDetector(path), model, { detector: path });
  if (!metric) throw new DataError(`${path}: keeps no metric, as \`fit --features norms,fisher\` does`);
  return unpacked(metric, path);
}

/**
 * Those that are measured by nothing, or by what `fit` keeps for them; a basis comes with the combined detector alone.
 */
const asViews = viewNames.filter((view) => view !== 'activations');

/** `--fisher-form`; undefined where nothing is said, which leaves it to each detector. */
export function metricFormOf(values: Values): MetricForm | undefined {
  const asked = text(values, 'fisher-form');
  if (asked === undefined) return undefined;
  const form = metricForms.find((name) => name === asked);
  if (form === undefined) throw new UsageError(`--fisher-form is '${asked}', expected ${metricForms.join(' or ')}`);
  return form;
}

/** The views of `--features norms,radial,…`. */
export function viewsOf(values: Values): View[] {
  const asked = (text(values, 'features') ?? 'norms').split(',').map((name) => name.trim());
  const all: readonly string[] = ['norms', ...asViews];
  const odd = asked.find((name) => !all.includes(name));
  if (odd !== undefined) throw new UsageError(`--features: '${odd}' is none of ${all.join(', ')}`);
  return asViews.filter((view) => asked.includes(view));
}
