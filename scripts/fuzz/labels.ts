// IDX files of labels, beside the images they belong to.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeIdx } from '../../src/data/idx.ts';
import { openData } from '../../src/node/open.ts';
import { check, checkData, type Format, pixels } from './format.ts';
import { insideGzip } from './idx.ts';

const n = 12;
const images = writeIdx({ shape: [n, 2, 2], data: pixels(4 * n) });
const labels = { shape: [n], data: Uint8Array.from({ length: n }, (_, i) => i % 5) };

export const labelFiles: Format = {
  extension: 'labels',
  samples: () => [{ bytes: writeIdx(labels) }, { bytes: writeIdx(labels, { gzip: true }) }],
  inside: insideGzip,
  async read({ bytes, path }) {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'train-images-idx3-ubyte'), images);
    writeFileSync(join(path, 'train-labels-idx1-ubyte'), bytes);
    const data = await openData(`${join(path, 'train-images-idx3-ubyte')}{0-2,4}`);
    check(data.length <= n, `${data.length} of ${n} examples`);
    await checkData(data);
    return undefined;
  },
};
