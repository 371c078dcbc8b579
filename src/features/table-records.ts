// What the formats of feature tables have in common: views as records, objects with all of their keys.

import * as z from 'zod';
import { parseAs } from '../json.ts';
import type { FeatureTable } from './table.ts';
import type { View } from './table-head.ts';

/** Nothing where there are none. */
export const withViews = (views: readonly (readonly [View, Float64Array])[]): Pick<FeatureTable, 'views'> =>
  views.length === 0 ? {} : { views: Object.fromEntries(views) };

/** With every key it has; zod leaves out __proto__. */
export function asObject(value: unknown, where: string): Record<string, unknown> {
  parseAs(z.record(z.string(), z.unknown()), value, where);
  return value as Record<string, unknown>;
}
