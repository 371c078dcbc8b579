import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openMat } from '../../test/support/readers.ts';
import { openData } from '../node/open.ts';

// Written by SciPy 1.10: savemat(file, {'X': m, 'y': uint8 [[1], [10]]}, do_compression), where m is the transpose (2,
// 3, 1, 0) of 7 * arange(36) as uint8 [n 2, channels 3, height 3, width 2].
const written = (body: string) => {
  const header = Buffer.from(`${'MATLAB 5.0 MAT-file Platform: posix'.padEnd(124, '\0')}\0\x01IM`);
  return Buffer.concat([header, Buffer.from(body, 'base64')]);
};
const compressed = written(
  'DwAAAFAAAAB4nONjYGBIAGI2IOYAYk4GCGAFYgEgZgZiJiSaEQgjoGwVkEI+GXZRZS0LN0N735CkgujM8rqeWa2TF67YdmT93tOXHry7+fwrSBkAb9USXw8AAAApAAAAeJzjY2BgMABiNiDmAGJOBghghfKZgJgRjBkZKsF8JgZGLgYGABi8APA=',
);
const plain = written(
  'DgAAAGAAAAAGAAAACAAAAAkAAAAAAAAABQAAABAAAAADAAAAAgAAAAMAAAACAAAAAQABAFgAAAACAAAAJAAAAAAOHAcVIyo4RjE/TVRicFtpd36MmoWToai2xK+9y9Lg7tnn9QAAAAAOAAAAMAAAAAYAAAAIAAAACQAAAAAAAAAFAAAACAAAAAIAAAABAAAAAQABAHkAAAACAAIAAQoAAA==',
);

const folder = await mkdtemp(join(tmpdir(), 'matlab-'));
afterAll(() => rm(folder, { recursive: true }));
const path = join(folder, 'train_32x32.mat');
const open = async (bytes: Uint8Array) => {
  await writeFile(path, bytes);
  return openMat(path, 'svhn');
};

describe('openMat', () => {
  it('opens what the official files of SVHN are called', async () => {
    await mkdir(join(folder, 'svhn'));
    await writeFile(join(folder, 'svhn', 'test_32x32.mat'), compressed);
    const data = await openData('svhn:test', { dataDir: folder, env: {} });
    expect([data.name, data.length]).toEqual(['svhn:test', 2]);
  });

  it.each([
    ['compressed', compressed],
    ['plain', plain],
  ])('reads the images of a %s file of SciPy', async (_, bytes) => {
    const data = await open(bytes);
    expect([data.name, data.length, data.shapes]).toEqual(['svhn', 2, { x: [3, 3, 2] }]);
    const { x } = (await data.gather([0, 1])).arrays;
    expect(Array.from(x!.data, Number)).toEqual(Array.from({ length: 36 }, (_, i) => 7 * i));
  });

  it('gives both the same fingerprint', async () => {
    expect((await open(compressed)).fingerprint).toBe((await open(plain)).fingerprint);
  });

  it('says what it found in place of images', async () => {
    const labels = Buffer.concat([plain.subarray(0, 128), plain.subarray(128 + 0x60 + 8)]);
    await expect(open(labels)).rejects.toThrow(`${path}: holds y (uint8 [2,1]); expected one array of bytes`);
    const twice = Buffer.concat([plain, plain.subarray(128, 128 + 0x60 + 8)]);
    await expect(open(twice)).rejects.toThrow(/holds X \(uint8 \[3,2,3,2\]\), y .*, X .*; expected one array/);
    await expect(open(plain.subarray(0, 128))).rejects.toThrow('holds nothing; expected one array');
  });

  it('says which version it wants', async () => {
    const hdf = Buffer.from(plain);
    hdf.write('MATLAB 7.3');
    await expect(open(hdf)).rejects.toThrow(
      "is a MATLAB 7.3 file (HDF5), expected version 5; in MATLAB, save it with '-v7'",
    );
    await expect(open(Buffer.from('x'.repeat(200)))).rejects.toThrow('is no little-endian MATLAB 5 file');
  });
});
