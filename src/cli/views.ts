// What is measured beside the norms, as `--features` says it.

import { UsageError } from '../errors.ts';
import { type View, viewNames } from '../features/index.ts';
import { text, type Values } from './options.ts';

/** The views of `--features norms,radial,…`; of `known` alone. */
export function viewsOf(values: Values, known: readonly View[] = viewNames): View[] {
  const asked = (text(values, 'features') ?? 'norms').split(',').map((name) => name.trim());
  const all = ['norms', ...known];
  const odd = asked.find((name) => !all.includes(name));
  if (odd !== undefined) throw new UsageError(`--features: '${odd}' is none of ${all.join(', ')}`);
  return known.filter((view) => asked.includes(view));
}
