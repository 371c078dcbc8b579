// An idx file of images in; the file of their labels, which lies beside it, out.

import { existsSync } from 'node:fs';

/**
 * The labels' file, under the name that MNIST's have: `labels-idx1` in place of `images-idx3`, or `labels.idx1`;
 * nothing where there is none.
 */
export function labelPaths(path: string): readonly string[] {
  // The second form: features of the same examples may come in several kinds, as train-logmel32-images-idx3-ubyte.gz.
  const candidates = [/images([-.])idx3/, /[^/-]+-images([-.])idx3/].map((from) => path.replace(from, 'labels$1idx1'));
  return candidates.filter((candidate) => candidate !== path && existsSync(candidate)).slice(0, 1);
}
