import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode as decodePng } from 'fast-png';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc32 } from '../data/crc32.ts';
import { asPixels } from '../data/pixels.ts';
import { take } from '../data/transforms.ts';
import { openFolder } from './folder.ts';
import { decodeImage } from './picture.ts';

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
  it('reads pictures in the natural order of their names and leaves other files alone', async () => {
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
    expect(levels).toEqual([20, 10, 30, 40]);
    expect(await data.ids?.([0, 1, 3])).toEqual(['2.jpg', '10.PNG', 'c.jpeg']);
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
    await expect(openFolder(linked)).rejects.toThrow(/linked: holds the folder 'b\.png', expected only files/);
    const linkedFolder = await folderOf('linked-folder', { 'a.png': 1 });
    await symlink('../sizes-of-others', join(linkedFolder, 'more'));
    await mkdir(join(base, 'sizes-of-others'));
    await expect(openFolder(linkedFolder)).rejects.toThrow(
      /linked-folder: holds the folder 'more', expected only files/,
    );
  });

  it.each(['a.tga', 'a.PSD', 'a.apng', 'a.ppm', 'a.jp2', 'a.dng', 'a.heic'])(
    'refuses a folder with %s',
    async (file) => {
      const path = await folderOf(`odd-${file}`, { 'b.png': 1, [file]: 'x' });
      await expect(openFolder(path)).rejects.toThrow(
        `${join(path, file)}: expected PNG, JPEG or WebP pictures; convert`,
      );
    },
  );

  it.each(['a.mp3', 'a.FLAC', 'a.ogg', 'a.m4a', 'a.aiff'])('refuses a folder with %s', async (file) => {
    for (const other of ['b.wav', 'b.png']) {
      const path = await folderOf(`odd-${other}-${file}`, { [other]: other === 'b.png' ? 1 : 'x', [file]: 'x' });
      await expect(openFolder(path)).rejects.toThrow(`${join(path, file)}: expected WAV recordings; convert it`);
    }
  });

  it('reads JPEG pictures by all their endings, through links too', async () => {
    const jpeg = new Uint8Array(await grey(50, 'a.jpg'));
    const names = ['a.jfif', 'b.jpe', 'c.JFIF', 'd.jpeg', 'e.jpg'];
    const path = await folderOf('jfif', Object.fromEntries(names.map((name) => [name, jpeg])));
    await symlink('a.jfif', join(path, 'f.jpg'));
    const data = await openFolder(path);
    expect([data.length, data.notes()]).toEqual([6, []]);
  });

  it('says how many files are left out, and some of their names', async () => {
    const one = await folderOf('left1', { 'a.png': 1, 'labels.csv': 'x', '.DS_Store': 'x' });
    expect((await openFolder(one)).notes()).toEqual([
      `${one}: 1 file that is no picture or recording of the set is left out: labels.csv`,
    ]);
    const more = { 'b.png.crdownload': 'x', LICENSE: 'x', 'x.txt': 'x', '._a.png': 'x', '.hidden': 'x' };
    const many = await folderOf('left4', { 'a.png': 1, ...more });
    const notes = [
      `${many}: 3 files that are no picture or recording of the set are left out: ._a.png, LICENSE, x.txt`,
      `${many}: left out are what seem to be downloads that were not finished: b.png.crdownload`,
    ];
    for (const data of [await openFolder(many), take(await openFolder(many), 0, 1), asPixels(await openFolder(many))]) {
      expect(data.notes()).toEqual(notes);
    }
    const none = await folderOf('left-all', { 'a.txt': 'x', 'b.mp4': 'x' });
    await expect(openFolder(none)).rejects.toThrow(/holds no \.png, .* or \.wav file, but a\.txt, b\.mp4$/);
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

  /** A PNG with one more chunk in front of its pixels. */
  function withChunk(png: Uint8Array, type: string, data: readonly number[]): Uint8Array {
    const at = Buffer.from(png).indexOf('IDAT') - 4;
    const body = Uint8Array.from([...Buffer.from(type), ...data]);
    const chunk = new Uint8Array(body.length + 8);
    new DataView(chunk.buffer).setUint32(0, data.length);
    chunk.set(body, 4);
    new DataView(chunk.buffer).setUint32(body.length + 4, crc32(body));
    return Uint8Array.from([...png.subarray(0, at), ...chunk, ...png.subarray(at)]);
  }

  it('refuses transparency of every kind: grey with alpha, a transparent colour of grey, of RGB, of a palette', async () => {
    const la = sharp(
      Uint8Array.from({ length: 12 }, (_, i) => (i === 7 ? 0 : i % 2 ? 255 : 0)),
      {
        raw: { width: 3, height: 2, channels: 2 },
      },
    );
    const rgb = sharp(
      Uint8Array.from({ length: 18 }, (_, i) => i),
      { raw: { width: 3, height: 2, channels: 3 } },
    );
    const clear = sharp(
      Uint8Array.from({ length: 24 }, (_, i) => (i === 15 ? 0 : i % 4 === 3 ? 255 : 9 * (i >> 2))),
      {
        raw: { width: 3, height: 2, channels: 4 },
      },
    );
    const pictures = {
      'grey and alpha': await la.png().toBuffer(),
      'grey and alpha, WebP': await la.webp({ lossless: true }).toBuffer(),
      'a colour of grey': withChunk(new Uint8Array(await grey(7, 'a.png', 2, 3)), 'tRNS', [0, 7]),
      'a colour of RGB': withChunk(new Uint8Array(await rgb.png().toBuffer()), 'tRNS', [0, 9, 0, 10, 0, 11]),
      'a palette': await clear.png({ palette: true }).toBuffer(),
    };
    for (const [kind, bytes] of Object.entries(pictures)) {
      await expect(decodeImage({ bytes, where }), kind).rejects.toThrow(
        /^f\.png: is transparent at row \d, column \d \(alpha 0\), expected opaque pixels; say what to put it on with `background: white`, /,
      );
    }
    // Where no pixel has that colour, nothing is transparent.
    const unused = withChunk(new Uint8Array(await grey(7, 'a.png', 2, 3)), 'tRNS', [0, 8]);
    expect([...(await decodeImage({ bytes: unused, where })).data]).toEqual(new Array(6).fill(7));
  });

  it('refuses an animated PNG, and WebP; one frame is no animation', async () => {
    const png = new Uint8Array(await grey(7));
    const frames = (n: number) => withChunk(png, 'acTL', [0, 0, 0, n, 0, 0, 0, 0]);
    await expect(decodeImage({ bytes: frames(3), where })).rejects.toThrow(
      'f.png: is animated (3 frames), expected one',
    );
    expect((await decodeImage({ bytes: frames(1), where })).shape).toEqual([1, 3, 2]);
    const two = sharp(
      Uint8Array.from({ length: 36 }, (_, i) => 7 * i),
      { raw: { width: 2, height: 6, channels: 3, pageHeight: 3 } },
    );
    const webp = await two.webp({ lossless: true }).toBuffer();
    await expect(decodeImage({ bytes: webp, where })).rejects.toThrow('f.png: is animated (2 frames), expected one');
  });

  it('takes pixels as they are stored, whatever profile or rotation goes with them, and says so', async () => {
    const raw = { width: 4, height: 3, channels: 3 } as const;
    const values = Uint8Array.from({ length: 36 }, (_, i) => (i * 37) % 256);
    // The samples of the file, by another decoder; Pillow gives the same.
    const stored = (png: Uint8Array) => {
      const { data } = decodePng(png);
      return Array.from({ length: 36 }, (_, i) => data[(i % 12) * 3 + Math.floor(i / 12)]);
    };
    const wide = await sharp(values, { raw }).withIccProfile('p3').png().toBuffer();
    const srgb = await sharp(values, { raw }).withIccProfile('srgb').png().toBuffer();
    const turned = await sharp(values, { raw }).withMetadata({ orientation: 6 }).png().toBuffer();
    for (const [bytes, unlike] of [
      [wide, ['profiled']],
      [srgb, []],
      [turned, ['turned']],
    ] as const) {
      const decoded = await decodeImage({ bytes, where });
      expect([decoded.shape, [...decoded.data], decoded.unlike]).toEqual([[3, 3, 4], stored(bytes), unlike]);
    }
    expect(stored(wide)).not.toEqual(stored(srgb));

    const path = await folderOf('unlike', { 'a.png': turned, 'b.png': wide, 'c.png': turned, 'd.png': srgb });
    const data = await openFolder(path);
    expect(data.notes()).toEqual([]);
    const said = (n: number, name: string, what: string) =>
      `${n} of the pictures read, such as ${join(path, name)}, ${what}, and are taken as they are stored`;
    await data.gather([3, 0]);
    for (let i = 0; i < 2; i++) for await (const _ of data.batches(3));
    expect(data.notes()).toEqual([
      said(2, 'a.png', 'are to be turned by their EXIF data'),
      said(1, 'b.png', 'have a colour profile other than sRGB'),
    ]);
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
