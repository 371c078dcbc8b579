// A combined detector as files have it in; which views, group sizes and layers it does without, and why, out.

import { inputsForGroups } from './fit.ts';
import type { StoredCombined } from './format.ts';
import { views } from './views.ts';

/** A view that is not there. */
export interface MissingOfViews {
  readonly view: string;
  /** Of the model; left out: of all that it has. */
  readonly aspect?: string;
  readonly reason: string;
}

/** What the file says, or of a file of before that something is missing. */
export function missingViews({ aspects, views: there, without }: StoredCombined): readonly MissingOfViews[] {
  const named = (view: string, aspect: number | undefined, reason: string): MissingOfViews => {
    const name = aspect === undefined ? undefined : aspects[aspect];
    return { view, ...(name === undefined ? {} : { aspect: name }), reason };
  };
  if (without) return without.map(({ view, aspect, reason }) => named(view, aspect, reason));
  const reason = 'the detector file is of a version that does not say why';
  return views.flatMap(({ name }) => {
    const lacking = Array.from({ length: Math.max(1, aspects.length) }, (_, k) => k).filter(
      (k) => !there.some((one) => one.name === name && one.aspect === k),
    );
    if (lacking.length === Math.max(1, aspects.length)) return [named(name, undefined, reason)];
    return lacking.map((k) => named(name, k, reason));
  });
}

/** Of the sizes that were asked for, those that groups have for other detectors only. */
export function missingGroups({ n, groups }: StoredCombined, asked: readonly number[]) {
  return asked
    .filter((B) => groups.every(({ group }) => group !== B))
    .map((group) => ({
      group,
      reason: `it is fitted on ${n} inputs, groups of ${group} take ${inputsForGroups(group)}`,
    }));
}
