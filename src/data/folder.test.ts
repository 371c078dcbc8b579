import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32 } from './crc32.ts';
import { openFolder } from './folder.ts';
import { decodeImage } from './images.ts';

let base: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'folder-'));
});
afterAll(() => rm(base, { recursive: true }));

/** A folder of files; numbers stand for pictures of that grey level, 3 high and 2 wide. */
async function folderOf(name: string, files: Readonly<Record<string, number | Uint8Array | string>>): Promise<string> {
  const path = join(base, name);
  await mkdir(path);
  for (const [file, content] of Object.entries(files)) {
    await writeFile(join(path, file), typeof content === 'number' ? await grey(content, file) : content);
  }
  return path;
}

function grey(level: number, file = 'a.png', h = 3, w = 2): Promise<Buffer> {
  const picture = sharp(new Uint8Array(h * w).fill(level), { raw: { width: w, height: h, channels: 1 } });
  return picture
    .toColourspace('b-w')
    .toFormat(file.split('.').at(-1)!.toLowerCase() as 'png')
    .toBuffer();
}

const where = 'f.png';
const pixels = (n: number, values = 0) => new Uint8Array(n).fill(values);

describe('openFolder', () => {
  it('reads pictures in the order of their names and leaves other files alone', async () => {
    const path = await folderOf('order', {
      'b.png': 30,
      '10.PNG': 10,
      '2.jpg': 20,
      'c.jpeg': 40,
      '.d.png': 'x',
      'LICENSE.txt': 'x',
    });
    const data = await openFolder(path, 'mine');
    expect([data.name, data.length, data.shapes]).toEqual(['mine', 4, { x: [1, 3, 2] }]);
    const levels: number[] = [];
    for await (const { arrays } of data.batches(3)) {
      for (let i = 0; i < arrays.x!.data.length; i += 6) {
        expect(new Set(arrays.x!.data.subarray(i, i + 6) as Float32Array).size).toBe(1);
        levels.push(Number(arrays.x!.data[i]));
      }
    }
    expect(levels).toEqual([10, 20, 30, 40]);
  });

  it('gives the same in batches of every size and by index, over groups of files that are loaded together', async () => {
    const names = Array.from({ length: 260 }, (_, i) => [`${String(i).padStart(3, '0')}.png`, i % 256] as const);
    const data = await openFolder(await folderOf('many', Object.fromEntries(names)));
    for (const size of [7, 256, 300]) {
      const levels: number[] = [];
      for await (const { arrays } of data.batches(size)) {
        for (let i = 0; i < arrays.x!.data.length; i += 6) levels.push(Number(arrays.x!.data[i]));
      }
      expect(levels).toEqual(names.map(([, level]) => level));
    }
    expect(
      Array.from((await data.gather([259, 0, 256])).arrays.x!.data as Float32Array).filter((_, i) => i % 6 === 0),
    ).toEqual([3, 0, 0]);
  });

  it('has another fingerprint when a file is changed or renamed', async () => {
    const print = async (name: string, files: Readonly<Record<string, number>>) =>
      (await openFolder(await folderOf(name, files))).fingerprint;
    const prints = [await print('p1', { 'a.png': 1, 'b.png': 2 }), await print('p2', { 'a.png': 1, 'b.png': 3 })];
    prints.push(await print('p3', { 'a.png': 1, 'c.png': 2 }));
    expect(new Set(prints).size).toBe(3);
    expect(await print('p4', { 'a.png': 1, 'b.png': 2 })).toBe(prints[0]);
  });

  it('refuses folders it cannot read as one set', async () => {
    await expect(openFolder(join(base, 'nowhere'))).rejects.toThrow(/nowhere: cannot read the folder: no such file/);
    await expect(openFolder(await folderOf('bare', { 'a.txt': 'x' }))).rejects.toThrow(/bare: holds no \.png, \.jpg/);
    await expect(openFolder(await folderOf('gif', { 'a.png': 1, 'b.GIF': 'x' }))).rejects.toThrow(
      /gif\/b\.GIF: expected PNG/,
    );
    const nested = await folderOf('nested', { 'a.png': 1 });
    await mkdir(join(nested, 'more'));
    await expect(openFolder(nested)).rejects.toThrow(/nested: holds the folder 'more', expected only files/);
    const dangling = await folderOf('dangling', { 'a.png': 1 });
    await symlink('nowhere', join(dangling, 'b.png'));
    await expect(openFolder(dangling)).rejects.toThrow(/dangling\/b\.png: cannot read: no such file/);
    const linked = await folderOf('linked', { 'a.png': 1 });
    await symlink('.', join(linked, 'b.png'));
    await expect(openFolder(linked)).rejects.toThrow(/linked\/b\.png: cannot read: it is a folder, expected a file/);
  });

  it('refuses pictures of different sizes, naming the first that differs', async () => {
    const path = await folderOf('sizes', { 'a.png': 1, 'b.png': 2, 'c.png': await grey(3, 'c.png', 2, 3) });
    const data = await openFolder(path);
    const read = async () => {
      for await (const _ of data.batches(2));
    };
    await expect(read()).rejects.toThrow(/sizes\/c\.png: is grey 2×3, expected grey 3×2 like the first image$/);
    await expect(data.gather([0])).rejects.toThrow(/sizes\/c\.png: is grey 2×3/);
  });
});

describe('decodeImage', () => {
  it('drops an opaque alpha channel and expands a palette', async () => {
    const rgba = Uint8Array.from({ length: 16 }, (_, i) => (i % 4 === 3 ? 255 : i * 10));
    const picture = sharp(rgba, { raw: { width: 2, height: 2, channels: 4 } });
    for (const bytes of [await picture.png().toBuffer(), await picture.webp({ lossless: true }).toBuffer()]) {
      const { shape, data } = await decodeImage({ bytes, where });
      expect(shape).toEqual([3, 2, 2]);
      expect([...data]).toEqual([0, 40, 80, 120, 10, 50, 90, 130, 20, 60, 100, 140]);
    }
    const bytes = await sharp(pixels(12, 9), { raw: { width: 2, height: 2, channels: 3 } })
      .png({ palette: true })
      .toBuffer();
    expect([...(await decodeImage({ bytes, where })).data]).toEqual(new Array(12).fill(9));
  });

  it('refuses what would have to be changed: 16 bits, transparency, CMYK', async () => {
    const raw = { width: 2, height: 2, channels: 3 } as const;
    const deep = await sharp(pixels(12, 9), { raw }).toColourspace('rgb16').png().toBuffer();
    await expect(decodeImage({ bytes: deep, where })).rejects.toThrow('f.png: has ushort channels, expected 8 bits');
    const cmyk = await sharp(pixels(12, 9), { raw }).toColourspace('cmyk').jpeg().toBuffer();
    await expect(decodeImage({ bytes: cmyk, where })).rejects.toThrow('f.png: is a CMYK picture, expected grey or RGB');
    const clear = sharp(pixels(16, 128), { raw: { ...raw, channels: 4 } });
    await expect(decodeImage({ bytes: await clear.png().toBuffer(), where })).rejects.toThrow(
      'f.png: is transparent at row 0, column 0 (alpha 128), expected opaque pixels',
    );
  });

  it('refuses a picture whose header claims a vast size before it is decoded', async () => {
    const bytes = new Uint8Array(await grey(1));
    const view = new DataView(bytes.buffer);
    view.setUint32(16, 60_000); // width, height and the checksum of the header
    view.setUint32(20, 60_000);
    view.setUint32(29, crc32(bytes.subarray(12, 29)));
    const before = process.memoryUsage.rss();
    await expect(decodeImage({ bytes, where })).rejects.toThrow(
      /^f\.png: damaged picture: Input image exceeds pixel limit/,
    );
    view.setUint32(16, 4000); // allowed as such, but not the size of the first
    view.setUint32(20, 4000);
    view.setUint32(29, crc32(bytes.subarray(12, 29)));
    await expect(decodeImage({ bytes, where }, [1, 3, 2])).rejects.toThrow(
      /^f\.png: is grey 4000×4000, expected grey 3×2/,
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
  });
});
