import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeIdx } from '../data/idx.ts';
import { writeNpy, writeNpz } from '../data/npy.ts';
import { openData } from './open.ts';

const shared = new URL('../../../shared/data/', import.meta.url).pathname;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'open-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Contents of n small images of one kind, told apart by n. */
const idx = (n: number) => writeIdx({ shape: [n, 2, 2], data: new Uint8Array(n * 4) }, { gzip: true });
const cifar = (n: number) => new Uint8Array(n * 3073);
const npz = (n: number) => writeNpz({ arr_0: { dtype: 'uint8', shape: [n, 2, 2], data: new Uint8Array(n * 4) } });
const npy = (n: number) => writeNpy({ dtype: 'uint8', shape: [n, 2, 2], data: new Uint8Array(n * 4) });
const picture = await sharp(new Uint8Array(12), { raw: { width: 2, height: 2, channels: 3 } })
  .png()
  .toBuffer();
const parquet = (n: number) =>
  new Uint8Array(
    parquetWriteBuffer({
      schema: [
        { name: 'schema', num_children: 1 },
        { name: 'image', num_children: 1, repetition_type: 'OPTIONAL' },
        { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      ],
      columnData: [{ name: 'image', data: Array.from({ length: n }, () => ({ bytes: new Uint8Array(picture) })) }],
    }),
  );

let count = 0;
async function tree(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const base = join(folder, String(count++));
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(base, name)), { recursive: true });
    await writeFile(join(base, name), bytes);
  }
  return base;
}

const env = { FISHER_OOD_DATA: undefined };

describe('known sets', () => {
  it.each<[spec: string, files: Record<string, Uint8Array>, length: number]>([
    // As they are in ../shared/data.
    ['mnist', { 'mnist/t10k-images-idx3-ubyte.gz': idx(3), 'mnist/train-images-idx3-ubyte.gz': idx(4) }, 3],
    ['mnist:train', { 'mnist/t10k-images-idx3-ubyte.gz': idx(3), 'mnist/train-images-idx3-ubyte.gz': idx(4) }, 4],
    ['kmnist:test', { 'kmnist/test-images-idx3-ubyte.gz': idx(3), 'mnist/t10k-images-idx3-ubyte.gz': idx(5) }, 3],
    ['omniglot:test', { 'omniglot/test-images-idx3-ubyte.gz': idx(3) }, 3],
    ['cifar10:test', { 'cifar10-test.parquet': parquet(3), 'svhn-test.parquet': parquet(4) }, 3],
    ['svhn:train', { 'svhn-train.parquet': parquet(3), 'svhn-test.parquet': parquet(4) }, 3],
    ['gtsrb:test', { 'gtsrb-train.parquet': parquet(3), 'gtsrb-test.parquet': parquet(4) }, 4],
    ['celeba:train', { 'celeba-train.parquet': parquet(3) }, 3],
    // Official names, unpacked, and as other tools lay them out.
    ['fashion-mnist', { 'fashion-mnist/t10k-images-idx3-ubyte': idx(3) }, 3],
    [
      'fashion-mnist',
      { 'FashionMNIST/raw/t10k-images-idx3-ubyte': idx(3), 'MNIST/raw/t10k-images-idx3-ubyte': idx(4) },
      3,
    ],
    ['mnist', { 'FashionMNIST/raw/t10k-images-idx3-ubyte': idx(3), 'MNIST/raw/t10k-images-idx3-ubyte': idx(4) }, 4],
    ['mnist:test', { 'mnist/test-00000-of-00001.parquet': parquet(3) }, 3],
    ['kmnist:test', { 'kmnist/t10k-images-idx3-ubyte.gz': idx(3) }, 3],
    ['kmnist:test', { 'kmnist-test-imgs.npz': npz(3) }, 3],
    ['kmnist:train', { 'kmnist/kmnist-train-imgs.npz': npz(3) }, 3],
    ['cifar10', { 'cifar-10-batches-bin/test_batch.bin': cifar(3) }, 3],
    ['cifar10:train', Object.fromEntries([1, 2, 3, 4, 5].map((k) => [`cifar10/data_batch_${k}.bin`, cifar(k)])), 15],
    ['tinyshakespeare:val', { 'tinyshakespeare/tinyshakespeare-val.txt': new Uint8Array(300) }, 2],
    ['svhn:test', { 'svhn/cropped_digits/test-00000-of-00001.parquet': parquet(3) }, 3],
  ])('finds %s in %o', async (spec, files, length) => {
    const data = await openData(spec, { dataDir: await tree(files), env });
    expect(data.name).toBe(spec.includes(':') ? spec : `${spec}:test`);
    expect(data.length).toBe(length);
  });

  it('looks in --data-dir first, then in FISHER_OOD_DATA', async () => {
    const first = await tree({ 'mnist/t10k-images-idx3-ubyte.gz': idx(3) });
    const second = await tree({
      'mnist/t10k-images-idx3-ubyte.gz': idx(4),
      'mnist/train-images-idx3-ubyte.gz': idx(5),
    });
    const options = { dataDir: first, env: { FISHER_OOD_DATA: second } };
    expect((await openData('mnist:test', options)).length).toBe(3);
    expect((await openData('mnist:train', options)).length).toBe(5);
    expect((await openData('mnist:test', { env: options.env })).length).toBe(4);
  });

  it('takes the folder of the set itself for a data directory, but no file that could be of another set', async () => {
    const base = await tree({ 'mnist/t10k-images-idx3-ubyte.gz': idx(3), 't10k-images-idx3-ubyte.gz': idx(4) });
    expect((await openData('mnist', { dataDir: join(base, 'mnist'), env })).length).toBe(3);
    await expect(openData('kmnist', { dataDir: join(base, 'mnist'), env })).rejects.toThrow(
      'kmnist:test: found none of',
    );
    await expect(openData('kmnist', { dataDir: base, env })).rejects.toThrow('kmnist:test: found none of');
  });

  it('says where it looked, for what, and where to get it', async () => {
    const dataDir = await tree({ 'kmnist/other': idx(1) });
    const message = await openData('mnist:train', { dataDir, env: { FISHER_OOD_DATA: '/elsewhere' } }).catch(String);
    expect(message).toContain(
      'DataError: mnist:train: found none of train-images-idx3-ubyte.gz, train-images-idx3-ubyte',
    );
    expect(message).toContain(` in ${dataDir}/mnist, ${dataDir}/MNIST/raw, ${dataDir}, /elsewhere/mnist, `);
    expect(message).toContain('.cache/fisher-ood/data');
    expect(message).toMatch(
      /; fisher-ood data get mnist downloads it, or get it from .*yann.lecun.com.* and say where it is with `dataDir` or FISHER_OOD_DATA$/,
    );
  });

  it('names the file, not the set, when that is damaged', async () => {
    const dataDir = await tree({
      'mnist/t10k-images-idx3-ubyte.gz': writeIdx({ shape: [4], data: new Uint8Array(4) }),
    });
    await expect(openData('mnist', { dataDir, env })).rejects.toThrow(
      `${dataDir}/mnist/t10k-images-idx3-ubyte.gz: has 4 values, rank 1; expected images`,
    );
  });

  it('refuses an unknown split and a data directory that is not there', async () => {
    await expect(openData('mnist:valid')).rejects.toThrow("mnist has no split 'valid'; it has train and test");
    await expect(openData('mnist:toString')).rejects.toThrow("mnist has no split 'toString'");
    await expect(openData('omniglot:train')).rejects.toThrow("omniglot has no split 'train'; it has test");
    await expect(openData('mnist:test:1')).rejects.toThrow("mnist has no split 'test:1'");
    await expect(openData('mnist', { dataDir: join(folder, 'no'), env })).rejects.toThrow(
      /^`dataDir: .*no`: is not a folder/,
    );
  });

  it('means the set by a bare name, whatever folder of that name there is, and no name of a built-in', async () => {
    const dataDir = await tree({ 'mnist/t10k-images-idx3-ubyte.gz': idx(3) });
    const before = process.cwd();
    process.chdir(await tree({ 'mnist/a.png': new Uint8Array(picture) }));
    try {
      expect((await openData('mnist', { dataDir, env })).length).toBe(3);
      expect((await openData('./mnist')).length).toBe(1);
    } finally {
      process.chdir(before);
    }
    await expect(openData('constructor')).rejects.toThrow(
      /^constructor: no such file or folder, and no known data set/,
    );
  });
});

describe.skipIf(!existsSync(join(shared, 'mnist')))('../shared/data', () => {
  it.each([
    ['mnist:test', 10_000, [1, 28, 28]],
    ['mnist:train', 60_000, [1, 28, 28]],
    ['kmnist', 10_000, [1, 28, 28]],
    ['omniglot', 4840, [1, 28, 28]],
    ['cifar10', 10_000, [3, 32, 32]],
    ['svhn', 2000, [3, 32, 32]],
    ['gtsrb:train', 13_070, [3, 32, 32]],
    ['celeba', 2000, [3, 32, 32]],
  ])('has %s', async (spec, length, shape) => {
    const data = await openData(spec, { dataDir: shared, env });
    expect([data.length, data.shapes.x]).toEqual([length, shape]);
  });
});

it.skipIf(!existsSync('/usr/share/datasets/fashion-mnist'))("finds Debian's Fashion-MNIST", async () => {
  const data = await openData('fashion-mnist:test[0:10]', { env });
  const sample = await openData('sample/fashion-mnist[0:10]');
  const all = Array.from({ length: 10 }, (_, i) => i);
  expect((await data.gather(all)).arrays).toEqual((await sample.gather(all)).arrays);
});

describe('samples and synthetic sets', () => {
  it('opens them by name', async () => {
    expect((await openData('sample/mnist')).length).toBe(1000);
    expect((await openData('sample/fashion-mnist')).name).toBe('sample/fashion-mnist');
    const noise = await openData('noise:7', { like: [3, 4, 4], seed: 2 });
    expect([noise.length, noise.shapes.x]).toEqual([7, [3, 4, 4]]);
    expect((await openData('constant')).length).toBe(1000);
  });

  it('refuses what they do not have', async () => {
    await expect(openData('sample/mnist:test')).rejects.toThrow('sample/mnist:test: sample/mnist has no splits');
    await expect(openData('sample/other')).rejects.toThrow('sample/other: no such file or folder');
    for (const text of ['', '1.5', '0x10', '-1', '5:6', 'many']) {
      await expect(openData(`noise:${text}`)).rejects.toThrow(`noise:${text}: '${text}' is not a number of examples`);
    }
    await expect(openData('noise:0')).rejects.toThrow('noise:0: 0 examples asked for, expected >= 1');
  });
});

describe('paths and slices', () => {
  it('opens a file by its ending, and a folder of pictures', async () => {
    const base = await tree({
      'a.parquet': parquet(2),
      'b.npz': npz(3),
      'c.NPY': npy(4),
      'd.idx': idx(5),
      'data_batch_2.bin': cifar(6),
      'pictures/a.png': new Uint8Array(picture),
    });
    for (const [name, length] of [
      ['a.parquet', 2],
      ['b.npz', 3],
      ['c.NPY', 4],
      ['d.idx', 5],
      ['data_batch_2.bin', 6],
      ['pictures', 1],
    ] as const) {
      const data = await openData(join(base, name));
      expect([data.name, data.length]).toEqual([join(base, name), length]);
    }
  });

  it('takes slices of anything, also of slices', async () => {
    const base = await tree({ 'a:b.npy': npy(9) });
    expect((await openData(`${base}/a:b.npy[2:9][1:3]`)).length).toBe(2);
    expect((await openData('noise:20[5:15]')).length).toBe(10);
    await expect(openData('noise:20[5:25]')).rejects.toThrow('noise:20: range [5:25] does not fit');
    await expect(openData('noise:20[5:5]')).rejects.toThrow('noise:20: range [5:5] does not fit');
  });

  it('takes a file whose name tells nothing for text where sequences are wanted, and says what it knows where images are', async () => {
    const base = await tree({ 'source.py': new Uint8Array(300).fill(65) });
    const path = join(base, 'source.py');
    expect(await openData(path, { like: [100] })).toMatchObject({ length: 3, shapes: { x: [100] } });
    await expect(openData(path)).rejects.toThrow(
      /0x41414141.* By its name it was taken for an IDX file; other formats end in \.parquet, \.npz, /,
    );
  });

  it('says what is known where there is no such path', async () => {
    await expect(openData('no/such/file')).rejects.toThrow(
      'no/such/file: no such file or folder, and no known data set; known are fashion-mnist, mnist, kmnist, omniglot, cifar10, svhn, gtsrb, celeba, imagenet32, fsdd, tinyshakespeare, german-quotes, italian-quotes, python-stdlib, sample/fashion-mnist, sample/mnist, constant, noise',
    );
  });
});
