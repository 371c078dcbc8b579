// The examples of an idx file that have certain labels, for experiments that hold classes out.

import { existsSync } from 'node:fs';
import { DataError } from '../errors.ts';
import { type Dataset, fingerprintOf } from './dataset.ts';
import { readFileBytes } from './files.ts';
import { readIdx } from './idx.ts';
import { select } from './transforms.ts';

/**
 * The examples of `data`, which is the idx file at `path`, whose label is in `wanted` ('0-4,7'), in their order. The labels lie beside
 * it under the name that MNIST's have: `labels-idx1` in place of `images-idx3`.
 *
 * Throws a DataError where there is no such file, it does not fit the images, or no example has these labels.
 */
export async function withLabels(data: Dataset, path: string, wanted: string): Promise<Dataset> {
  const name = `${data.name}{${wanted}}`;
  const [labelPath] = labelPaths(path);
  if (labelPath === undefined) {
    throw new DataError(`${name}: has no labels beside it, expected a file such as train-labels-idx1-ubyte.gz`);
  }
  const labels = readIdx(await readFileBytes(labelPath), labelPath);
  if (labels.shape.length !== 1 || labels.shape[0] !== data.length) {
    throw new DataError(
      `${labelPath}: has [${labels.shape.join(', ')}] labels, expected [${data.length}] of ${data.name}`,
    );
  }
  const keep = parseLabels(wanted, name);
  const indices = Uint32Array.from(labels.data, (_, i) => i).filter((i) => keep(Number(labels.data[i])));
  const labelled = fingerprintOf(Uint8Array.from(labels.data)); // the same pictures with other labels are another set
  return select(data, indices, `{${wanted}}`, `{${wanted} of ${labelled}}`);
}

/** The labels' file; nothing where there is none. */
export function labelPaths(path: string): readonly string[] {
  // The second form: features of the same examples may come in several kinds, as train-logmel32-images-idx3-ubyte.gz.
  const candidates = [/images-idx3/, /[^/-]+-images-idx3/].map((from) => path.replace(from, 'labels-idx1'));
  return candidates.filter((candidate) => candidate !== path && existsSync(candidate)).slice(0, 1);
}

function parseLabels(wanted: string, name: string): (label: number) => boolean {
  const ranges = wanted.split(',').map((part) => {
    const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (from === undefined) throw new DataError(`${name}: '${part}' is no label and no range of labels such as 0-4`);
    return [Number(from), Number(to)] as const;
  });
  return (label) => ranges.some(([from, to]) => label >= from && label <= to);
}
