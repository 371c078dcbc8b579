// Parquet files of lists, numbers and text in every encoding, as Arrow and DuckDB write them; tables of text; tar files
// of pictures.

import { readFileSync, writeFileSync } from 'node:fs';
import { openTable } from '../../src/data/tabular.ts';
import { openTar } from '../../src/data/tar.ts';
import { decodeImage, fileSource } from '../../src/node/index.ts';
import { openParquetColumn } from '../../test/support/readers.ts';
import { checkData, type Format, type Sample } from './format.ts';
import { insideParquet } from './parquet.ts';

const sampleOf = (file: string): Sample => ({
  bytes: new Uint8Array(readFileSync(new URL(`../../test/data/formats/${file}`, import.meta.url))),
});

export const columns: Format = {
  extension: 'parquet',
  samples: () =>
    ['lists', 'lists-v2', 'lists-delta', 'duckdb-lists', 'DELTA_BYTE_ARRAY-2', 'DELTA_LENGTH_BYTE_ARRAY-1'].map(
      (name) => sampleOf(`${name}.parquet`),
    ),
  inside: insideParquet,
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    // The last two hold pictures, which are read where no column of lists is found.
    const names = ['floats', 'bytes', 'whole', 'a', 'row', undefined];
    let refused: unknown;
    let read = 0;
    for (const name of names) {
      try {
        await checkData(await openParquetColumn(path, name));
        read++;
      } catch (error) {
        refused ??= error;
        if (!(error instanceof Error) || error.name !== 'DataError') throw error;
      }
    }
    if (read === 0) throw refused;
    return undefined; // its pages have no checksums
  },
};

export const csv: Format = {
  extension: 'csv',
  samples: () => ['bare.csv', 'named.csv', 'semicolons.csv'].map(sampleOf),
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    await checkData(await openTable(await fileSource(path), {}));
    return undefined; // other digits are other numbers
  },
};

export const jsonl: Format = {
  extension: 'jsonl',
  samples: () => ['lists.jsonl', 'scalars.jsonl', 'bare.jsonl'].map(sampleOf),
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    const column = bytes.includes(0x6b) ? 'x' : undefined; // of the first, whose other column is k
    await checkData(await openTable(await fileSource(path), { column }));
    return undefined;
  },
};

export const tar: Format = {
  extension: 'tar',
  samples: () => ['part-2', 'part-9', 'part-10'].map((name) => sampleOf(`shards-tar/${name}.tar`)),
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    await checkData(await openTar([await fileSource(path)], decodeImage));
    return undefined; // only headers have a checksum, and some pictures
  },
};
