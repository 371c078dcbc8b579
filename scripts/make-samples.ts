// Makes the data sets in samples/ from the official files: `tsx scripts/make-samples.ts DIR`, where DIR holds them as
// --data-dir expects. A sample whose images are the right ones already is left as it is.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readIdx, writeIdx } from '../src/data/idx.ts';
import { openData, readFileBytes, writeFileAtomic } from '../src/node/index.ts';

const samples = [
  { file: 'fashion-mnist-test-2000-idx3-ubyte.gz', data: 'fashion-mnist:test[0:2000]' },
  { file: 'mnist-test-1000-idx3-ubyte.gz', data: 'mnist:test[0:1000]' },
];

const dataDir = process.argv[2];
if (dataDir === undefined || process.argv.length > 3) {
  console.error('usage: tsx scripts/make-samples.ts DIR');
  process.exit(2);
}

for (const { file, data } of samples) {
  const path = fileURLToPath(new URL(`../samples/${file}`, import.meta.url));
  const { shape, pixels } = await imagesOf(data, dataDir);
  const size = `${shape.join('×')} from ${data}`;
  if (existsSync(path) && (await holds(path, shape, pixels))) {
    console.log(`${file}: unchanged, ${size}`);
  } else {
    const bytes = writeIdx({ shape, data: pixels }, { gzip: true });
    await writeFileAtomic(path, bytes);
    console.log(`${file}: wrote ${bytes.length} bytes, ${size}`);
  }
}

/** All images [n, h, w] of a data set of one channel. */
async function imagesOf(spec: string, folder: string): Promise<{ shape: number[]; pixels: Uint8Array }> {
  const set = await openData(spec, { dataDir: folder });
  const [, h, w] = set.shapes.x as [number, number, number];
  const pixels = new Uint8Array(set.length * h * w);
  for await (const { start, arrays } of set.batches(500)) pixels.set(arrays.x!.data as Float32Array, start * h * w);
  return { shape: [set.length, h, w], pixels };
}

async function holds(path: string, shape: readonly number[], pixels: Uint8Array): Promise<boolean> {
  const found = readIdx(await readFileBytes(path), path);
  return found.shape.join() === shape.join() && Buffer.compare(found.data, pixels) === 0;
}
