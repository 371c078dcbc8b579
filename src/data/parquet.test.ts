import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { asyncBufferFromFile, type CompressionCodec, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openParquet } from '../../test/support/readers.ts';
import type { Dataset } from './dataset.ts';

const shared = new URL('../../../shared/data/', import.meta.url).pathname;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parquet-'));
});
afterAll(() => rm(folder, { recursive: true }));

type Kind = 'png' | 'webp' | 'jpeg';

/** Picture i: h×w, channels first, an even ramp so that JPEG keeps it nearly as it is. */
function planes(i: number, c: number, h: number, w: number): number[] {
  return Array.from({ length: c * h * w }, (_, p) => 20 * i + Math.floor(p / (h * w)) * 30 + ((p % (h * w)) % w));
}

async function encode(values: readonly number[], c: number, h: number, w: number, kind: Kind): Promise<Uint8Array> {
  const interleaved = Uint8Array.from(values, (_, i) => values[(i % c) * h * w + Math.floor(i / c)]!);
  const picture = sharp(interleaved, { raw: { width: w, height: h, channels: c as 1 | 3 } });
  const grey = c === 1 ? picture.toColourspace('b-w') : picture;
  const encoders = { png: () => grey.png(), webp: () => grey.webp({ lossless: true }), jpeg: () => grey.jpeg() };
  return new Uint8Array(await encoders[kind]().toBuffer());
}

interface Layout {
  readonly column?: string;
  readonly codec?: CompressionCodec;
  readonly repetition?: 'OPTIONAL' | 'REQUIRED';
  readonly rowGroupSize?: number;
  readonly pageSize?: number;
}

/** A file of pictures as the `datasets` library of Hugging Face lays them out. */
async function put(name: string, pictures: readonly (Uint8Array | null)[], layout: Layout = {}): Promise<string> {
  const { column = 'image', codec = 'SNAPPY', repetition = 'OPTIONAL', ...sizes } = layout;
  const path = join(folder, name);
  const bytes = parquetWriteBuffer({
    codec,
    compressors: { GZIP: (b) => gzipSync(b), BROTLI: (b) => brotliCompressSync(b) },
    ...sizes,
    schema: [
      { name: 'schema', num_children: 2 },
      { name: column, repetition_type: repetition, num_children: 2 },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: repetition },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
      { name: 'label', type: 'INT64', repetition_type: 'OPTIONAL' },
    ],
    columnData: [
      { name: column, data: pictures.map((bytes, i) => ({ bytes, path: `${i}.png` })) },
      { name: 'label', data: pictures.map((_, i) => BigInt(i)) },
    ],
  });
  await writeFile(path, new Uint8Array(bytes));
  return path;
}

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);

async function encodeAll(n: number, c: number, h: number, w: number, kind: Kind): Promise<Uint8Array[]> {
  return Promise.all(numbers(n).map((i) => encode(planes(i, c, h, w), c, h, w, kind)));
}

async function read(data: Dataset, size: number): Promise<number[]> {
  const values: number[] = [];
  for await (const { start, n, arrays } of data.batches(size)) {
    expect(arrays.x!.shape).toEqual([n, ...data.shapes.x!]);
    expect(start * (arrays.x!.data.length / n)).toBe(values.length);
    values.push(...(arrays.x!.data as Float32Array));
  }
  return values;
}

describe('openParquet', () => {
  it.each([
    ['png', 1, 'image'],
    ['png', 3, 'img'],
    ['webp', 3, 'img'],
  ] as const)('reads %s of %d channels in the column %s', async (kind, c, column) => {
    const pictures = await encodeAll(7, c, 4, 5, kind);
    const data = await openParquet(
      await put(`${kind}${c}.parquet`, pictures, { column, rowGroupSize: 3 }),
      'svhn:test',
    );
    expect([data.name, data.length, data.shapes]).toEqual(['svhn:test', 7, { x: [c, 4, 5] }]);
    const expected = numbers(7).flatMap((i) => planes(i, c, 4, 5));
    for (const size of [1, 2, 3, 4, 7, 10]) expect(await read(data, size)).toEqual(expected);
    const { x } = (await data.gather([6, 0, 3, 3])).arrays;
    expect(x!.shape).toEqual([4, c, 4, 5]);
    expect(Array.from(x!.data as Float32Array)).toEqual([6, 0, 3, 3].flatMap((i) => planes(i, c, 4, 5)));
    expect(await read(data, 2)).toEqual(expected); // now from the decoded groups that `gather` keeps
  });

  it('reads jpeg, which is nearly what was encoded', async () => {
    const data = await openParquet(await put('jpeg.parquet', await encodeAll(4, 3, 8, 8, 'jpeg')));
    const expected = numbers(4).flatMap((i) => planes(i, 3, 8, 8));
    const found = await read(data, 3);
    // Quality 80 with subsampled colours.
    expect(Math.max(...found.map((v, i) => Math.abs(v - expected[i]!)))).toBeLessThan(12);
    expect(Array.from((await data.gather(numbers(4))).arrays.x!.data as Float32Array)).toEqual(found);
  });

  it.each(['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI'] as const)('reads %s pages', async (codec) => {
    const pictures = await encodeAll(5, 1, 6, 6, 'png');
    for (const repetition of ['OPTIONAL', 'REQUIRED'] as const) {
      const path = await put(`${codec}-${repetition}.parquet`, pictures, { codec, repetition, pageSize: 200 });
      expect(await read(await openParquet(path), 2)).toEqual(numbers(5).flatMap((i) => planes(i, 1, 6, 6)));
    }
  });

  it('reads pages that refer to a dictionary', async () => {
    const [a, b] = await encodeAll(2, 1, 6, 6, 'png');
    const order = numbers(40).map((i) => (i * i) % 3 === 1);
    const path = await put(
      'dictionary.parquet',
      order.map((second) => (second ? b! : a!)),
    );
    const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path));
    expect(metadata.row_groups[0]!.columns[0]!.meta_data!.encodings).toContain('RLE_DICTIONARY');
    const expected = order.flatMap((second) => planes(second ? 1 : 0, 1, 6, 6));
    expect(await read(await openParquet(path), 7)).toEqual(expected);
  });

  it('names the file and the row of a picture that is damaged, absent, of another size or transparent', async () => {
    const good = await encodeAll(6, 3, 4, 4, 'png');
    const broken = good[4]!.slice();
    broken[broken.length - 20]! ^= 1; // in the compressed pixels
    const transparent = sharp(new Uint8Array(64), { raw: { width: 4, height: 4, channels: 4 } });
    const cases: [string, Uint8Array | null, RegExp][] = [
      ['damaged', broken, /damaged\.parquet: row 4: damaged picture/],
      ['short', good[4]!.subarray(0, 60), /short\.parquet: row 4: damaged picture/],
      ['absent', null, /absent\.parquet: row 4: holds no picture in image\.bytes$/],
      ['empty', new Uint8Array(0), /empty\.parquet: row 4: is empty, expected a PNG, JPEG or WebP picture$/],
      ['gif', new TextEncoder().encode('GIF89a'), /gif\.parquet: row 4: starts with 47 49 46 38, expected a PNG/],
      ['size', await encode(planes(0, 3, 4, 5), 3, 4, 5, 'png'), /size\.parquet: row 4: is RGB 4×5, expected RGB 4×4/],
      ['grey', await encode(planes(0, 1, 4, 4), 1, 4, 4, 'png'), /grey\.parquet: row 4: is grey 4×4, expected RGB 4×4/],
      [
        'alpha',
        new Uint8Array(await transparent.png().toBuffer()),
        /row 4: is transparent at row 0, column 0 \(alpha 0\)/,
      ],
    ];
    for (const [name, picture, expected] of cases) {
      const path = await put(`${name}.parquet`, good.with(4, picture as Uint8Array), { rowGroupSize: 3 });
      const data = await openParquet(path, 'known:test');
      await expect(read(data, 2)).rejects.toThrow(expected);
      await expect(data.gather([3])).rejects.toThrow(expected);
      expect((await data.gather([0, 2])).n).toBe(2); // of the row group before
    }
  });

  it('says what is wrong with files of another layout', async () => {
    const path = join(folder, 'layout.parquet');
    const other = async (columnData: Parameters<typeof parquetWriteBuffer>[0]['columnData']) => {
      await writeFile(path, new Uint8Array(parquetWriteBuffer({ columnData })));
      return openParquet(path, 'svhn:test');
    };
    const layout =
      /layout\.parquet: has the columns text \(text\), title \(text\), label \(.*\); say which holds the examples, with `column: NAME`$/;
    await expect(
      other([
        { name: 'text', data: ['a'] },
        { name: 'title', data: ['a'] },
        { name: 'label', data: [1] },
      ]),
    ).rejects.toThrow(layout);
    await expect(other([{ name: 'image', data: ['a'] }])).rejects.toThrow(/has 1 bytes, expected at least one window/);
    await expect(openParquet(await put('none.parquet', []), 'svhn:test')).rejects.toThrow(
      /none\.parquet: holds no rows$/,
    );
    await writeFile(path, 'PAR1 is not all of it PAR1');
    await expect(openParquet(path)).rejects.toThrow(/layout\.parquet: not a Parquet file, or damaged: /);
    await expect(openParquet(join(folder, 'no.parquet'))).rejects.toThrow(
      /no\.parquet: cannot read: no such file or folder/,
    );
    await expect(openParquet(folder)).rejects.toThrow(/: cannot read: it is a folder, expected a file$/);
  });
});

describe('real files', () => {
  const counts = { 'cifar10-test': 10_000, 'svhn-test': 2000, 'gtsrb-test': 4000, 'celeba-test': 2000 };

  it.skipIf(!existsSync(join(shared, 'svhn-test.parquet'))).each(Object.entries(counts))(
    'reads %s as another reader of the format and the decoder do',
    async (name, length) => {
      const path = join(shared, `${name}.parquet`);
      const data = await openParquet(path, name);
      expect([data.length, data.shapes]).toEqual([length, { x: [3, 32, 32] }]);
      const file = await asyncBufferFromFile(path);
      const rows = await parquetReadObjects({
        file,
        compressors,
        columns: ['img'],
        rowStart: 995,
        rowEnd: 1005,
        utf8: false,
      });
      const expected: number[] = [];
      for (const { img } of rows) {
        const pixels = await sharp(img.bytes as Uint8Array)
          .raw()
          .toBuffer();
        for (let p = 0; p < 3072; p++) expected.push(pixels[(p % 1024) * 3 + Math.floor(p / 1024)]!);
      }
      const found: number[] = [];
      for await (const { arrays } of data.batches(4, { start: 995, end: 1005 })) {
        found.push(...(arrays.x!.data as Float32Array));
      }
      expect(found).toEqual(expected);
    },
  );
});
