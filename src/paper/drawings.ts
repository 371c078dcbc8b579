// All experiments as a page shows them, by their keys in the results.

import { ablations } from './ablations/draw.ts';
import { beyondPaper } from './beyond/draw.ts';
import { chi2 } from './chi2/draw.ts';
import { correlation } from './correlation/draw.ts';
import type { Drawing } from './experiment.ts';
import { fisher } from './fisher/draw.ts';
import { invariance } from './invariance/draw.ts';
import { paradox } from './paradox/draw.ts';
import { beyondImages, mainTables } from './tables/draw.ts';

/**
 * In the order of the report. Numbers and figures of a file of results are what its version of the program has made:
 * see `reportOf`.
 */
export const drawings: readonly Drawing<unknown, unknown>[] = [
  paradox,
  mainTables,
  fisher,
  chi2,
  correlation,
  invariance,
  ablations,
  beyondImages,
  beyondPaper,
];
