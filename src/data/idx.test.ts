import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openIdx } from '../../test/support/readers.ts';
import { readIdx, writeIdx } from './idx.ts';

const shared = new URL('../../../shared/data/', import.meta.url).pathname;
const samples = new URL('../../samples/', import.meta.url).pathname;

/** An IDX file by hand: magic number, big-endian sizes, data. */
function idxBytes(shape: readonly number[], data: readonly number[], type = 8): Uint8Array {
  const sizes = shape.flatMap((d) => [(d / 2 ** 24) & 255, (d >> 16) & 255, (d >> 8) & 255, d & 255]);
  return Uint8Array.from([0, 0, type, shape.length, ...sizes, ...data]);
}

const pixels = Array.from({ length: 5 * 2 * 3 }, (_, i) => (i * 37) % 256);
const five = idxBytes([5, 2, 3], pixels);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'idx-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function put(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

describe('openIdx', () => {
  it('reads plain and gzipped files alike, whatever they are called', async () => {
    const plain = await openIdx(await put('images.gz', five));
    const packed = await openIdx(await put('images', gzipSync(five)));
    for (const data of [plain, packed]) {
      expect(data.length).toBe(5);
      expect(data.shapes).toEqual({ x: [1, 2, 3] });
      const { x } = (await data.gather([4, 0, 4])).arrays;
      expect(x!.shape).toEqual([3, 1, 2, 3]);
      expect(x!.data).toEqual(Float32Array.from([...pixels.slice(24), ...pixels.slice(0, 6), ...pixels.slice(24)]));
    }
    expect(packed.fingerprint).toBe(plain.fingerprint);
  });

  it('gives the same examples in batches of every size', async () => {
    const data = await openIdx(await put('sizes', five));
    for (const size of [1, 2, 3, 4, 5, 6, 100]) {
      const read: number[] = [];
      for await (const { start, n, arrays } of data.batches(size)) {
        expect(start * 6).toBe(read.length);
        expect(arrays.x!.shape).toEqual([n, 1, 2, 3]);
        read.push(...(arrays.x!.data as Float32Array));
      }
      expect(read).toEqual(pixels);
    }
  });

  it('gives other content another fingerprint, and another shape of the same bytes too', async () => {
    const open = async (name: string, bytes: Uint8Array) => (await openIdx(await put(name, bytes))).fingerprint;
    const changed = pixels.with(7, pixels[7]! ^ 1);
    const prints = [await open('a', five), await open('b', idxBytes([5, 2, 3], changed))];
    prints.push(await open('c', idxBytes([5, 3, 2], pixels)));
    expect(new Set(prints).size).toBe(3);
  });

  it.each([
    [
      'labels',
      idxBytes([3], [1, 2, 3]),
      /labels: has 3 values, rank 1; expected images n×h×w \(is this a label file\?\)$/,
    ],
    ['four axes', idxBytes([1, 1, 2, 1], [1, 2]), /four axes: has 1×1×2×1 values, rank 4; expected images n×h×w$/],
    ['no images', idxBytes([0, 28, 28], []), /no images: holds no pixels: the header says 0×28×28$/],
    ['no width', idxBytes([2, 28, 0], []), /no width: holds no pixels: the header says 2×28×0$/],
    ['floats', idxBytes([1, 1, 1], [0, 0, 0, 0], 13), /floats: IDX type is 0x0d, expected 0x08 \(unsigned byte\)$/],
    ['rank 0', idxBytes([], []), /rank 0: IDX rank is 0, expected 1 to 4$/],
    ['png', Uint8Array.from([0x89, 0x50, 0x4e, 0x47]), /png: starts with 0x89504e47, an IDX file of bytes starts with/],
    ['short', idxBytes([2, 2, 2], [1, 2, 3]), /short: image data has 3 bytes, header says 2×2×2 = 8$/],
    ['long', idxBytes([1, 1, 2], [1, 2, 3]), /long: image data has 3 bytes, header says 1×1×2 = 2$/],
    ['long gz', gzipSync(idxBytes([1, 1, 2], [1, 2, 3, 4])), /long gz: has more image data than the 1×1×2 = 2 bytes/],
    ['more', Buffer.concat([gzipSync(five), Buffer.from([0, 0])]), /more: 2 bytes follow the gzip data$/],
  ])('refuses %s', async (name, bytes, expected) => {
    await expect(openIdx(await put(name, bytes), 'mnist:test')).rejects.toThrow(expected);
  });
});

describe('writeIdx', () => {
  it('is read back by readIdx, and by the layout', () => {
    const shapes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 });
    const arrays = shapes.chain((shape) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return fc.record({ shape: fc.constant(shape), data: fc.uint8Array({ minLength: size, maxLength: size }) });
    });
    fc.assert(
      fc.property(arrays, fc.boolean(), ({ shape, data }, gzip) => {
        const bytes = writeIdx({ shape, data }, { gzip });
        expect(readIdx(bytes, 'f')).toEqual({ shape, data });
        expect(gzip ? new Uint8Array(gunzipSync(bytes)) : bytes).toEqual(idxBytes(shape, [...data]));
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  it('writes no time stamp', () => {
    const bytes = writeIdx({ shape: [1, 1, 1], data: Uint8Array.of(7) }, { gzip: true });
    expect([...bytes.subarray(4, 8)]).toEqual([0, 0, 0, 0]);
  });
});

describe('real files', () => {
  it('reads the samples', async () => {
    const fashion = await openIdx(join(samples, 'fashion-mnist-test-2000-idx3-ubyte.gz'));
    expect([fashion.length, fashion.shapes.x]).toEqual([2000, [1, 28, 28]]);
    const mnist = await openIdx(join(samples, 'mnist-test-1000-idx3-ubyte.gz'));
    expect([mnist.length, mnist.shapes.x]).toEqual([1000, [1, 28, 28]]);
  });

  // The mean pixel of the training sets over 255 is published with them: 0.1307 for MNIST.
  it.skipIf(!existsSync(join(shared, 'mnist')))('reads MNIST, and its mean is the published one', async () => {
    const data = await openIdx(join(shared, 'mnist/train-images-idx3-ubyte.gz'));
    expect([data.length, data.shapes.x]).toEqual([60_000, [1, 28, 28]]);
    let sum = 0;
    for await (const { arrays } of data.batches(5000)) for (const v of arrays.x!.data as Float32Array) sum += v;
    expect(sum / (60_000 * 784) / 255).toBeCloseTo(0.1307, 4);
  });

  it.skipIf(!existsSync(join(shared, 'mnist')))('finds the sample at the start of the MNIST test set', async () => {
    const sample = await openIdx(join(samples, 'mnist-test-1000-idx3-ubyte.gz'));
    const whole = await openIdx(join(shared, 'mnist/t10k-images-idx3-ubyte.gz'));
    const first = Array.from({ length: 1000 }, (_, i) => i);
    const [expected, found] = [(await whole.gather(first)).arrays.x!.data, (await sample.gather(first)).arrays.x!.data];
    expect(Buffer.compare(Buffer.from(found.buffer), Buffer.from(expected.buffer))).toBe(0);
  });
});
