// Feature tables in each of their formats.

import { checkTable, type FeatureTable } from '../../src/features/table.ts';
import { decodeTable, encodeTable } from '../../src/features/table-formats.ts';
import { type Damaged, type Format, noise, type Sample, textOf } from './format.ts';
import { insideJson } from './json.ts';
import { insideNpz } from './npz.ts';
import { insideParquet } from './parquet.ts';

export const tableNpz: Format = {
  extension: 'npz',
  samples: samplesOf('npz'),
  inside: insideNpz,
  read: readerOf('npz'),
};

export const tableParquet: Format = {
  extension: 'parquet',
  samples: samplesOf('parquet'),
  inside: insideParquet,
  read: readerOf('parquet'),
};

export const tableJson: Format = {
  extension: 'json',
  samples: samplesOf('json'),
  inside: insideJson,
  read: async (file) => void (await readerOf('json')(file)),
};

export function table(n: number, group: number, withDims: boolean): FeatureTable {
  const names = ['conv1.weight', 'conv1.bias', 'näme "3"'];
  return {
    names,
    ...(withDims ? { dims: [18, 3, 1000] } : {}),
    nll: Float64Array.from(noise(n), (v) => 100 + v),
    sqNorms: Float64Array.from(noise(n * names.length), (v, i) => Math.exp(4 * v) * 10 ** (i % names.length)),
    group,
    meta: {
      model: 'ab'.repeat(32),
      data: 'some data',
      dataFingerprint: 'cd'.repeat(32),
      seed: 3,
      start: 0,
      bitsPerDimFactor: 0.01,
    },
  };
}

function samplesOf(format: 'npz' | 'parquet' | 'json'): () => Promise<Sample[]> {
  const tables = [table(12, 1, true), table(7, 5, false), table(300, 1, true)];
  return () => Promise.all(tables.map(async (t) => ({ bytes: await encodeTable(t, format, 'seed') })));
}

function readerOf(format: 'npz' | 'parquet' | 'json'): (file: Damaged) => Promise<string> {
  return async ({ bytes, path }) => textOf(checkTable(await decodeTable(bytes, format, path), 'accepted, but'));
}
