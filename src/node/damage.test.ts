// Every reader on files that are cut short, have bytes changed, are empty, missing or something else: each attempt must
// end in a DataError that names the file, or in examples that are well formed; soon, and without much memory.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import wavefile from 'wavefile';
import {
  openCifar10,
  openIdx,
  openMat,
  openNpy,
  openNpz,
  openParquet,
  openRecordings,
} from '../../test/support/readers.ts';
import type { Dataset } from '../data/dataset.ts';
import { readIdx, writeIdx } from '../data/idx.ts';
import { writeNpy } from '../data/npy.ts';
import { DataError } from '../errors.ts';
import { openFolder } from './folder.ts';

const base = await mkdtemp(join(tmpdir(), 'damage-'));
afterAll(() => rm(base, { recursive: true }));

const pixels = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * i * 31) % 251);
const images = { shape: [4, 5, 6], data: pixels(120) };

async function pictures(kind: 'png' | 'jpeg' | 'webp'): Promise<Uint8Array[]> {
  const encode = async (i: number) =>
    new Uint8Array(
      await sharp(pixels(108 + i).subarray(i), { raw: { width: 6, height: 6, channels: 3 } })
        .toFormat(kind)
        .toBuffer(),
    );
  return Promise.all([0, 1, 2].map(encode));
}

async function parquet(codec: 'SNAPPY' | 'UNCOMPRESSED' | 'GZIP'): Promise<Uint8Array> {
  const data = (await pictures('png')).map((bytes, i) => ({ bytes, path: `${i}.png` }));
  const buffer = parquetWriteBuffer({
    codec,
    compressors: { GZIP: (bytes) => gzipSync(bytes) },
    rowGroupSize: 2,
    schema: [
      { name: 'schema', num_children: 1 },
      { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
    columnData: [{ name: 'image', data }],
  });
  return new Uint8Array(buffer);
}

const npy = {
  x: writeNpy({ dtype: 'float32', shape: [4, 1, 5, 6], data: Float32Array.from(pixels(120)) }),
  label: writeNpy({ dtype: 'int64', shape: [4], data: BigInt64Array.of(1n, 2n, 3n, 4n) }),
};
const arrays = { 'x.npy': npy.x, 'label.npy': npy.label };

/** A .mat file with the array 'X' of 4×3 images of 3 channels. */
function mat(n: number, compress: boolean): Uint8Array {
  const element = (type: number, data: Uint8Array) => {
    const out = new Uint8Array(8 + (type === 15 ? data.length : Math.ceil(data.length / 8) * 8));
    new Uint32Array(out.buffer, 0, 2).set([type, data.length]);
    out.set(data, 8);
    return out;
  };
  const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
  const parts = [
    element(6, words(9, 0)),
    element(5, words(4, 3, 3, n)),
    element(1, new TextEncoder().encode('X')),
    element(2, pixels(36 * n)),
  ];
  const matrix = element(14, Buffer.concat(parts));
  const header = Buffer.alloc(128, 'MATLAB 5.0 MAT-file'.padEnd(124));
  header.writeUInt16LE(0x100, 124);
  header.write('IM', 126);
  return new Uint8Array(Buffer.concat([header, compress ? element(15, deflateSync(matrix)) : matrix]));
}

const wave = new wavefile.WaveFile();
wave.fromScratch(2, 11025, '16', [pixels(150), pixels(150)]);
const recording = wave.toBuffer();

interface Reader {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly open: (path: string) => Promise<Dataset>;
  /**
   * Distance of the places where the file is cut, and number of files with changed bytes: what fits into a few seconds.
   */
  readonly step: number;
  readonly runs: number;
}

const openOf = (path: string) => openFolder(dirname(path));
const readers: Readonly<Record<string, Reader>> = {
  idx: { file: 'a.idx', bytes: writeIdx(images), open: openIdx, step: 1, runs: 150 },
  'idx, gzipped': { file: 'a.idx.gz', bytes: writeIdx(images, { gzip: true }), open: openIdx, step: 1, runs: 150 },
  npy: { file: 'a.npy', bytes: npy.x, open: openNpy, step: 5, runs: 150 },
  'npz, stored': { file: 'a.npz', bytes: zipSync(arrays, { level: 0 }), open: openNpz, step: 7, runs: 200 },
  'npz, compressed': { file: 'b.npz', bytes: zipSync(arrays, { level: 9 }), open: openNpz, step: 3, runs: 200 },
  cifar10: { file: 'a.bin', bytes: new Uint8Array(3 * 3073), open: (p) => openCifar10([p], p), step: 61, runs: 50 },
  mat: { file: 'a.mat', bytes: mat(3, false), open: openMat, step: 3, runs: 150 },
  'mat, compressed': { file: 'b.mat', bytes: mat(3, true), open: openMat, step: 3, runs: 150 },
  wav: { file: 'a.wav', bytes: recording, open: (p) => openRecordings([p], p), step: 7, runs: 150 },
  'parquet, snappy': { file: 'a.parquet', bytes: await parquet('SNAPPY'), open: openParquet, step: 17, runs: 80 },
  'parquet, plain': { file: 'b.parquet', bytes: await parquet('UNCOMPRESSED'), open: openParquet, step: 17, runs: 80 },
  'parquet, gzip': { file: 'c.parquet', bytes: await parquet('GZIP'), open: openParquet, step: 29, runs: 50 },
  'folder of png': { file: 'png/b.png', bytes: (await pictures('png'))[1]!, open: openOf, step: 5, runs: 50 },
  'folder of jpeg': { file: 'jpeg/b.jpg', bytes: (await pictures('jpeg'))[1]!, open: openOf, step: 17, runs: 40 },
  'folder of webp': { file: 'webp/b.webp', bytes: (await pictures('webp'))[1]!, open: openOf, step: 5, runs: 50 },
};
for (const kind of ['png', 'jpeg', 'webp'] as const) {
  const [first, , last] = await pictures(kind);
  await mkdir(join(base, kind));
  await writeFile(join(base, kind, `a.${kind}`), first!);
  await writeFile(join(base, kind, `c.${kind}`), last!);
}

/**
 * Reads the file with these bytes whole, twice. Gives the message of the error, or the images where it could be read.
 */
async function attempt({ file, open }: Reader, bytes: Uint8Array): Promise<string | readonly number[]> {
  const path = join(base, file);
  await writeFile(path, bytes);
  const started = performance.now();
  try {
    const data = await open(path);
    let n = 0;
    const read: number[] = [];
    for await (const batch of data.batches(2)) {
      expect(batch.start).toBe(n);
      n += batch.n;
      // One damaged byte of an .npz file may rename an array; a model that wants 'x' refuses that.
      for (const { data: values } of Object.values(batch.arrays))
        read.push(...Array.from<number | bigint, number>(values, Number));
      checkArrays(data, batch.n, batch.arrays);
    }
    expect(n).toBe(data.length);
    const indices = [n - 1, 0];
    checkArrays(data, 2, (await data.gather(indices)).arrays);
    return read;
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    expect(error.message).toContain(basename(file));
    return error.message;
  } finally {
    expect(performance.now() - started, 'milliseconds').toBeLessThan(5000);
  }
}

function checkArrays(data: Dataset, n: number, found: Awaited<ReturnType<Dataset['gather']>>['arrays']): void {
  expect(Object.keys(found).sort()).toEqual(Object.keys(data.shapes).sort());
  for (const [name, { data: values, shape }] of Object.entries(found)) {
    expect(shape).toEqual([n, ...data.shapes[name]!]);
    expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
    if (values instanceof Float32Array) expect(values.every((v) => Number.isFinite(v))).toBe(true);
  }
}

describe.each(Object.entries(readers))('%s', (_, reader) => {
  const { file, bytes, step, runs } = reader;

  it('cut short is refused, unless all images are there', async () => {
    const whole = await attempt(reader, bytes);
    expect(whole).toBeInstanceOf(Array);
    for (let length = 0; length < bytes.length; length += step) {
      const found = await attempt(reader, bytes.subarray(0, length));
      // A PNG without its last twelve bytes lacks no pixel.
      if (typeof found !== 'string') expect(found, `${length} of ${bytes.length} bytes`).toEqual(whole);
    }
  });

  it('with bytes behind its end is refused, or read', async () => {
    await attempt(reader, Uint8Array.from([...bytes, 0]));
    await attempt(reader, Uint8Array.from([...bytes, ...bytes]));
  });

  it('with one byte changed is refused, or read', async () => {
    const changes = fc.record({ at: fc.nat(bytes.length - 1), by: fc.integer({ min: 1, max: 255 }) });
    await fc.assert(
      fc.asyncProperty(changes, async ({ at, by }) => {
        await attempt(reader, bytes.with(at, bytes[at]! ^ by));
      }),
      { seed: 17, numRuns: runs },
    );
  });

  it('with a run of bytes overwritten, taken out or moved is refused, or read', async () => {
    const cut = fc.record({ at: fc.nat(bytes.length - 1), length: fc.integer({ min: 1, max: 40 }) });
    const changes = fc.record({
      cut,
      to: fc.nat(bytes.length),
      value: fc.constantFrom(0, 127, 128, 255),
      kind: fc.nat(2),
    });
    await fc.assert(
      fc.asyncProperty(changes, async ({ cut: { at, length }, to, value, kind }) => {
        const [head, middle, tail] = [bytes.slice(0, at), bytes.slice(at, at + length), bytes.slice(at + length)];
        const rest = [...head, ...tail];
        const changed = [
          [...head, ...middle.fill(value), ...tail],
          rest,
          [...rest.slice(0, to), ...bytes.slice(at, at + length), ...rest.slice(to)],
        ];
        await attempt(reader, Uint8Array.from(changed[kind]!));
      }),
      { seed: 18, numRuns: Math.floor(runs / 2) },
    );
  });

  it('empty, of another kind, a folder or missing is refused', async () => {
    const path = join(base, file);
    for (const content of ['', '\0', 'hello, this is text\n'.repeat(20), 'PAR1PAR1PAR1PAR1', '\0'.repeat(500)]) {
      const message = await attempt(reader, new TextEncoder().encode(content));
      expect(message, JSON.stringify(content.slice(0, 20))).toBeTypeOf('string');
    }
    await rm(path);
    await mkdir(path);
    await expect(reader.open(path)).rejects.toThrow(DataError);
    await rm(path, { recursive: true });
    if (reader.open !== openOf) {
      const refused = reader.open(path);
      await expect(refused).rejects.toThrow(DataError);
      await expect(refused).rejects.toThrow(path);
    }
  });
});

describe('gzip', () => {
  it('with one bit flipped is refused, or holds the very same images', () => {
    const { bytes } = readers['idx, gzipped']!;
    let refused = 0;
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      try {
        const found = readIdx(bytes.with(bit >> 3, bytes[bit >> 3]! ^ (1 << (bit & 7))), 'f');
        expect(found, `bit ${bit}`).toEqual(images);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        refused++;
      }
    }
    // What passes: the time stamp, the two bytes after it and one flag, 49 bits, and a few in the middle without
    // meaning.
    expect(refused).toBeGreaterThan(bytes.length * 8 - 60);
  });
});

describe('sizes that the header makes up', () => {
  const shapes = [
    [2 ** 32 - 1, 28, 28],
    [2 ** 32 - 1, 1, 1],
    [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1],
    [2 ** 31, 0, 28],
    [1, 2 ** 31 - 1, 1],
    [0, 5, 6],
    [3, 5, 6],
    [5, 5, 6],
  ];

  it.each(shapes)('idx of %d×%d×%d is refused at once', async (...shape) => {
    const before = process.memoryUsage.rss();
    const started = performance.now();
    const header = writeIdx({ shape, data: images.data });
    for (const bytes of [header, gzipSync(header)]) {
      for (const reader of [readers.idx!, readers['idx, gzipped']!]) {
        expect(await attempt(reader, bytes)).toMatch(/header says|has more image data than the/);
      }
    }
    expect(performance.now() - started).toBeLessThan(1000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
  });

  it.each(shapes)('npy and npz of %d×%d×%d are refused at once', async (...shape) => {
    const text = new TextDecoder('latin1').decode(npy.x.subarray(0, 128));
    const header = text.replace(/\(4, 1, 5, 6\), } */, (old) => `(${shape.join(', ')}), }`.padEnd(old.length));
    const bytes = npy.x.slice();
    bytes.set(Uint8Array.from(header, (c) => c.charCodeAt(0)));
    const before = process.memoryUsage.rss();
    const expected = /data has 480 bytes, header says/;
    expect(await attempt(readers.npy!, bytes)).toMatch(expected);
    expect(await attempt(readers['npz, stored']!, zipSync({ 'x.npy': bytes }))).toMatch(expected);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
  });
});
