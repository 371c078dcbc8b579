// The examples of a data set that have certain labels, for experiments that hold classes out.

import { DataError } from '../errors.ts';
import { type Dataset, fingerprintOf } from './dataset.ts';
import { readIdx } from './idx.ts';
import type { EncodedFile } from './source.ts';
import { select } from './transforms.ts';

/**
 * The examples of `data` whose label is in `wanted` ('0-4,7'), in their order. `file`: an idx file of one label for
 * each example; undefined where there is none.
 *
 * Throws a DataError where there is no such file, it does not fit the images, or no example has these labels.
 */
export function withLabels(data: Dataset, file: EncodedFile | undefined, wanted: string): Dataset {
  const name = `${data.name}{${wanted}}`;
  if (file === undefined) {
    throw new DataError(`${name}: has no labels beside it, expected a file such as train-labels-idx1-ubyte.gz`);
  }
  const labels = readIdx(file.bytes, file.where);
  if (labels.shape.length !== 1 || labels.shape[0] !== data.length) {
    throw new DataError(
      `${file.where}: has [${labels.shape.join(', ')}] labels, expected [${data.length}] of ${data.name}`,
    );
  }
  const keep = parseLabels(wanted, name);
  const indices = Uint32Array.from(labels.data, (_, i) => i).filter((i) => keep(Number(labels.data[i])));
  const labelled = fingerprintOf(Uint8Array.from(labels.data)); // the same pictures with other labels are another set
  return select(data, indices, `{${wanted}}`, `{${wanted} of ${labelled}}`);
}

function parseLabels(wanted: string, name: string): (label: number) => boolean {
  const ranges = wanted.split(',').map((part) => {
    const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (from === undefined) throw new DataError(`${name}: '${part}' is no label and no range of labels such as 0-4`);
    return [Number(from), Number(to)] as const;
  });
  return (label) => ranges.some(([from, to]) => label >= from && label <= to);
}
