// Detector files, and what they score.

import { fitDetectors } from '../../src/detectors/fit.ts';
import { formatDetector, parseDetector } from '../../src/detectors/format.ts';
import { scoreTable } from '../../src/detectors/score.ts';
import { check, type Damaged, type Format, type Sample } from './format.ts';
import { insideJson } from './json.ts';
import { table } from './tables.ts';

export const detector: Format = { extension: 'json', samples: detectorSamples, inside: insideJson, read };

function detectorSamples(): Sample[] {
  const files = [
    fitDetectors([table(12, 1, true), table(7, 5, true)], { recipe: { model: 'm', nested: { list: [1, 'a', null] } } }),
    fitDetectors([table(9, 2, false)]),
  ];
  return files.map((file) => ({ bytes: new TextEncoder().encode(formatDetector(file)) }));
}

/** Reads a detector and scores with it. */
async function read({ bytes, path }: Damaged): Promise<undefined> {
  const file = parseDetector(new TextDecoder().decode(bytes), path);
  for (const { group } of file.groups) {
    const { names, model } = file;
    const n = 4;
    const t = table(n, group, false);
    const own = {
      ...t,
      names,
      dims: names.map((_, j) => j + 1),
      sqNorms: new Float64Array(n * names.length).fill(2),
      meta: { ...t.meta, model },
    };
    for (const { detector, scores, pValues } of scoreTable(file, own)) {
      check(
        scores.every((s) => !Number.isNaN(s)),
        `${detector} gives the scores ${scores}`,
      );
      check(
        pValues.every((p) => p > 0 && p <= 1),
        `${detector} gives the p-values ${pValues}`,
      );
    }
  }
}
