// The detectors of one group size in; which layers each of them does not look at, and why, out.

import type { DroppedLayer, FittedGroup } from '../detectors/index.ts';

/** Layers left out, by detector; no key where there are none. */
export interface Dropped {
  readonly dropped?: Readonly<Record<string, readonly DroppedLayer[]>>;
}

export function droppedIn({ detectors }: FittedGroup): Dropped {
  const found = Object.entries(detectors).flatMap(([name, { params }]) =>
    'dropped' in params && params.dropped.length > 0 ? [[name, params.dropped] as const] : [],
  );
  return found.length === 0 ? {} : { dropped: Object.fromEntries(found) };
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
