// The detectors of one group size in; what they were fitted on, which layers each of them does not look at, and why,
// out.

import { defined, filled } from '../defined.ts';
import {
  type DetectorFile,
  type DroppedLayer,
  detectorNames,
  type FittedGroup,
  missingGroups,
  missingViews,
} from '../detectors/index.ts';

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

/**
 * What the combined detector was fitted on, for which groups, and what it does without, as `fit` and `inspect` tell it;
 * nothing where there is none.
 */
export function combinedSummary({ combined, groups: asked }: DetectorFile) {
  if (!combined) return {};
  const { detector, noiseSamples = 1, leftOut = [], leftOutRecombined } = combined;
  const { n, views, aspects, groups, repeats } = detector;
  const sizes = asked.map(({ group }) => group);
  return {
    combined: {
      n,
      noiseSamples,
      views: [...new Set(views.map(({ name }) => name))],
      groups: groups.map(({ group }) => group),
      ...filled({
        aspects,
        without: missingViews(detector),
        missing: missingGroups(detector, sizes),
        notFinite: leftOut,
      }),
      ...defined({ notFiniteRecombined: leftOutRecombined, repeats }),
    },
  };
}

/** A line for each thing that the combined detector does without; none where there is no such detector. */
export function combinedLines(detector: DetectorFile): string[] {
  const { combined } = combinedSummary(detector);
  if (!combined) return [];
  const { n, repeats = 0, without = [], missing = [], notFinite = [], notFiniteRecombined = {} } = combined;
  const recombined = Object.entries(notFiniteRecombined).map(([kind, count]) => `${count} of ${kind}`);
  return [
    ...without.map(
      ({ view, aspect, reason }) => `without view ${view}${aspect === undefined ? '' : ` of ${aspect}`}: ${reason}`,
    ),
    ...missing.map(({ group, reason }) => `without B = ${group}: ${reason}`),
    ...(notFinite.length === 0 ? [] : [`without ${inputsText(notFinite)}: not finite`]),
    ...(repeats > n / 20
      ? [
          `${repeats} of ${n} inputs repeat others; p-values hold for inputs that repeat as often, and are too small for new ones`,
        ]
      : []),
    ...(recombined.length === 0 ? [] : [`without recombined inputs that are not finite: ${recombined.join(', ')}`]),
  ].map((line) => `combined: ${line}`);
}

/** The first ten of them by number. */
export function inputsText(examples: readonly number[]): string {
  const more = examples.length > 10 ? ` and ${examples.length - 10} more` : '';
  return `${examples.length === 1 ? 'example' : 'examples'} ${examples.slice(0, 10).join(', ')}${more}`;
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
