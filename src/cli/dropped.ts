// The detectors of one group size in; what they were fitted on, which layers each of them does not look at, and why,
// out.

import { type DetectorFile, type DroppedLayer, detectorNames, type FittedGroup } from '../detectors/index.ts';

/** Layers left out, by detector; no key where there are none. */
interface Dropped {
  readonly dropped?: Readonly<Record<string, readonly DroppedLayer[]>>;
}

function droppedIn({ detectors }: FittedGroup): Dropped {
  const found = detectorNames.flatMap((name) => {
    const params = detectors[name]?.params;
    return params && 'dropped' in params && params.dropped.length > 0 ? [[name, params.dropped] as const] : [];
  });
  return found.length === 0 ? {} : { dropped: Object.fromEntries(found) };
}

/** What was fitted for groups of one size, as `fit` and `inspect` tell it. */
export function summaryOf(entry: FittedGroup) {
  const { group, n, detectors, leftOut } = entry;
  const notFinite = leftOut === undefined ? {} : { notFinite: leftOut };
  return { group, n, detectors: Object.keys(detectors), ...notFinite, ...droppedIn(entry) };
}

/** What the combined detector was fitted on, for which groups; nothing where there is none. */
export function combinedSummary({ combined }: DetectorFile) {
  if (!combined) return {};
  const { n, views, groups } = combined.detector;
  const { noiseSamples = 1 } = combined;
  return {
    combined: { n, noiseSamples, views: views.map(({ name }) => name), groups: groups.map(({ group }) => group) },
  };
}

/** A line for each layer and reason, with the detectors that lack it. */
export function droppedLines(dropped: Readonly<Record<string, readonly DroppedLayer[]>>): string[] {
  const detectors = new Map<string, string[]>();
  for (const [name, layers] of Object.entries(dropped)) {
    for (const { name: layer, reason } of layers) {
      const line = `layer '${layer}' (${reason})`;
      detectors.set(line, [...(detectors.get(line) ?? []), name]);
    }
  }
  return [...detectors].map(([line, names]) => `without ${line}: ${names.join(', ')}`);
}
