// `fisher-ood/web` as a page has it: bundled, without a trace of Node, and in Chromium with the numbers that Node
// gives.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePng, syntheticDataset, take } from '../../src/data/index.ts';
import { fitDetectors, formatDetector } from '../../src/detectors/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { folderStore, loadModel } from '../../src/node/index.ts';
import { decodeImage, decodeOn } from '../../src/node/picture.ts';
import { openScorer } from '../../src/node/scorer.ts';
import type { Judgement } from '../../src/scoring/index.ts';
import { writeSafetensors } from '../../src/store/index.ts';
import { temporaryFolder } from '../support/cli.ts';
import { expectClose } from '../support/compare.ts';
import { type SmallName, smallModel } from '../support/models.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The same picture with its left upper pixel transparent. */
async function transparent(png: Uint8Array): Promise<Uint8Array> {
  const { data, info } = await sharp(png)
    .toColourspace('srgb')
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  data[3] = 0;
  return sharp(data, { raw: { width: info.width, height: info.height, channels: 4 } })
    .png()
    .toBuffer();
}
const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
afterAll(() => folder.remove());

let metafile: Metafile;
beforeAll(async () => {
  const entry = join(root, 'src', 'web', 'index.ts');
  const built = await build({
    entryPoints: [entry],
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    outdir: at('page'),
    metafile: true,
    logLevel: 'silent',
  });
  expect(built.warnings).toEqual([]);
  metafile = built.metafile;
});

describe('the bundle of fisher-ood/web', () => {
  it('has nothing of Node in it', () => {
    const inputs = Object.entries(metafile.inputs);
    const foreign = inputs
      .map(([path]) => path)
      .filter((path) =>
        /node_modules\/(sharp|onnxruntime-node|tar|fs-native)|src\/(node|cli|paper)\/|node:|^\(disabled\)/.test(path),
      );
    expect(foreign).toEqual([]);
    const external = inputs.flatMap(([, { imports }]) => imports.filter((one) => one.external).map(({ path }) => path));
    expect(external.filter((path) => path !== '<runtime>')).toEqual([]);
  });

  it('is not larger than it was, and loads the runtime when something runs', () => {
    const sizes = Object.entries(metafile.outputs).map(([path, { bytes }]) => [path.replace(/^.*page\//, ''), bytes]);
    const { 'index.js': index, ...later } = Object.fromEntries(sizes) as Record<string, number>;
    expect(index).toBeLessThan(1_050_000);
    expect(Object.keys(later).filter((name) => name.startsWith('ort.wasm'))).toHaveLength(1);
  });
});

describe.skipIf(browser === undefined && process.env.CI === undefined)('in Chromium', () => {
  let server: Server;
  let chromium: Browser;
  let page: Page;
  const wrong: string[] = [];

  beforeAll(async () => {
    writeFileSync(at('page/index.html'), '<!doctype html><title>fisher-ood</title>');
    const assets = join(root, 'node_modules', 'onnxruntime-web', 'dist');
    const types: Record<string, string> = {
      '.js': 'text/javascript',
      '.mjs': 'text/javascript',
      '.html': 'text/html',
      '.wasm': 'application/wasm',
    };
    server = createServer(({ url }, response) => {
      const path = new URL(url!, 'http://localhost').pathname.slice(1) || 'index.html';
      const file = path.startsWith('ort/')
        ? join(assets, path.slice(4))
        : at(path.startsWith('data/') ? path.slice(5) : `page/${path}`);
      if (!existsSync(file)) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' });
      response.end(readFileSync(file));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    chromium = await puppeteer.launch({
      executablePath: browser ?? 'chromium',
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
      protocolTimeout: 600_000,
    });
    page = await chromium.newPage();
    page.on('pageerror', (error) => wrong.push(String(error)));
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await page.evaluate(
      `import('/index.js').then((m) => { window.fisher = m; window.runtime = m.webRuntime({ assets: location.origin + '/ort/' }); })`,
    );
  });
  afterAll(async () => {
    await chromium?.close();
    server?.close();
    expect(wrong).toEqual([]);
  });

  /** A folder with the model's files, which the page has under data/NAME. */
  async function writeModel(name: SmallName): Promise<string> {
    const { info, weights } = smallModel(name);
    const store = folderStore(at(name));
    await store.write('model.json', JSON.stringify(info));
    await store.write('weights.safetensors', writeSafetensors(weights));
    return at(name);
  }

  it.each<SmallName>(['glow', 'vae', 'ddpm', 'pixelcnn'])(
    'the losses and norms of a %s are those of Node',
    async (name) => {
      const dir = await writeModel(name);
      const model = await loadModel(dir);
      const data = syntheticDataset('noise', { length: 5, shape: model.info.data, seed: 1 });
      const { arrays } = await data.gather([0, 1, 2, 3, 4]);
      for (const group of [1, 2]) {
        const extractor = await openExtractor(model, { group, threads: 1 });
        const expected = await extractor.table(data);
        await extractor.dispose();
        const found = (await page.evaluate(`(async () => {
        const { loadModel, memoryDataset, openExtractor } = fisher;
        const model = await loadModel(location.origin + '/data/${name}');
        const x = { data: Float32Array.from(${JSON.stringify(Array.from(arrays.x!.data, Number))}), shape: ${JSON.stringify(model.info.data)}, pixels: true };
        const extractor = await openExtractor(model, { runtime, group: ${group} });
        const table = await extractor.table(memoryDataset('noise', 5, 'none', { x }));
        await extractor.dispose();
        return { hash: model.hash, names: table.names, nll: [...table.nll], sqNorms: [...table.sqNorms] };
      })()`)) as { hash: string; names: string[]; nll: number[]; sqNorms: number[] };
        expect([found.hash, found.names]).toEqual([model.hash, expected.names]);
        expectClose(found.nll, [...expected.nll], 1e-5, 'nll');
        const largest = Math.max(...expected.sqNorms);
        for (const [k, norm] of expected.sqNorms.entries()) {
          expect(Math.abs(found.sqNorms[k]! - norm) / Math.max(norm, 1e-9 * largest), `norm ${k}`).toBeLessThan(1e-3);
        }
      }
    },
  );

  it('decodes pictures as Node does, also those that a viewer would turn', async () => {
    const pixels = Buffer.from(Uint8Array.from({ length: 6 * 5 * 3 }, (_, i) => (37 * i) % 256));
    const colours = () => sharp(pixels, { raw: { width: 6, height: 5, channels: 3 } });
    const smooth = Buffer.from(Uint8Array.from({ length: 32 * 24 * 3 }, (_, i) => 40 + (i % 96) + Math.floor(i / 96)));
    const pictures: Record<string, { bytes: Uint8Array; off: number }> = {
      'colour PNG': { bytes: await colours().png().toBuffer(), off: 0 },
      'palette PNG': { bytes: await colours().png({ palette: true }).toBuffer(), off: 0 },
      'grey PNG': {
        bytes: encodePng({ data: Float32Array.from({ length: 12 }, (_, i) => 20 * i), shape: [1, 3, 4] }),
        off: 0,
      },
      'turned PNG': { bytes: await colours().withExif({}).withMetadata({ orientation: 6 }).png().toBuffer(), off: 0 },
      'lossless WebP': { bytes: await colours().webp({ lossless: true }).toBuffer(), off: 0 },
      'turned JPEG': {
        bytes: await sharp(smooth, { raw: { width: 32, height: 24, channels: 3 } })
          .withMetadata({ orientation: 6 })
          .jpeg({ quality: 98, chromaSubsampling: '4:4:4' })
          .toBuffer(),
        off: 3,
      },
      'grey JPEG': {
        bytes: await sharp(smooth, { raw: { width: 32, height: 24, channels: 3 } })
          .greyscale()
          .jpeg({ quality: 98 })
          .toBuffer(),
        off: 3,
      },
    };
    for (const [name, { bytes, off }] of Object.entries(pictures)) {
      const expected = await decodeImage({ bytes: new Uint8Array(bytes), where: name });
      const found =
        (await page.evaluate(`fisher.decodeImage({ bytes: Uint8Array.from(${JSON.stringify([...bytes])}), where: 'a' })
        .then(({ shape, data }) => ({ shape, data: [...data] }))`)) as { shape: number[]; data: number[] };
      expect(found.shape, name).toEqual(expected.shape);
      const furthest = Math.max(...found.data.map((v, i) => Math.abs(v - expected.data[i]!)));
      expect(furthest, name).toBeLessThanOrEqual(off);
    }
  });

  describe('transparent pictures', () => {
    const size = 16;
    const rgba = Buffer.from(
      Uint8Array.from({ length: size * size * 4 }, (_, i) => (i % 4 === 3 ? Math.floor(i / 4) : (37 * i) % 256)),
    );
    const drawn = () => sharp(rgba, { raw: { width: size, height: size, channels: 4 } });
    const kinds: Record<string, () => Promise<Uint8Array>> = {
      'colour PNG': () => drawn().png().toBuffer(),
      'palette PNG': () => drawn().png({ palette: true }).toBuffer(),
      'grey PNG': () => drawn().toColourspace('b-w').png().toBuffer(),
      'lossless WebP': () => drawn().webp({ lossless: true, exact: true }).toBuffer(),
    };
    const inPage = (bytes: Uint8Array, how: string) =>
      page.evaluate(`${how}({ bytes: Uint8Array.from(${JSON.stringify([...bytes])}), where: 'a' })
        .then(({ shape, data }) => ({ shape, data: [...data] }), (error) => error.message)`);

    it.each(Object.entries(kinds))('are put on a background as in Node: %s', async (_, make) => {
      const bytes = new Uint8Array(await make());
      for (const background of [
        [255, 255, 255],
        [0, 0, 0],
        [100, 100, 100],
      ] as const) {
        const expected = await decodeOn(background)({ bytes, where: 'a' });
        const found = (await inPage(bytes, `fisher.decodeOn([${background}])`)) as { shape: number[]; data: number[] };
        expect(found.shape).toEqual(expected.shape);
        const furthest = Math.max(...found.data.map((v, i) => Math.abs(v - expected.data[i]!)));
        expect(furthest).toBeLessThanOrEqual(1);
      }
    });

    it.each(Object.entries(kinds))('are refused without one, in the words of Node: %s', async (_, make) => {
      const bytes = new Uint8Array(await make());
      const expected = await decodeImage({ bytes, where: 'a' }).catch((error: Error) => error.message);
      expect(expected).toMatch(/^a: is transparent at row 0, column 0 \(alpha 0\)/);
      expect(await inPage(bytes, 'fisher.decodeImage')).toBe(expected);
    });

    it('in grey are put on no colour', async () => {
      const bytes = new Uint8Array(await kinds['grey PNG']!());
      expect(await inPage(bytes, 'fisher.decodeOn([255, 0, 0])')).toBe(
        'a: is grey, and cannot be put on the colour 255,0,0; give a grey background',
      );
    });
  });

  it('says what is wrong with a file in the words of Node', async () => {
    const dir = await writeModel('vae');
    const { info } = smallModel('vae');
    await folderStore(dir).write('model.json', JSON.stringify({ ...info, arch: 7, resize: [0, 3] }));
    const expected = await loadModel(dir).then(String, (error: Error) => error.message.replace(/^.*model.json/, ''));
    const found = await page.evaluate(
      `fisher.loadModel(location.origin + '/data/vae').then(String, (error) => error.message.replace(/^.*model.json/, ''))`,
    );
    expect(expected).toMatch(/expected string/);
    expect(found).toBe(expected);
  });

  it.each([
    ['bytes that are no picture', '[1, 2, 3, 4]', 'a: starts with 01 02 03 04, expected a PNG, JPEG or WebP picture'],
    ['nothing', '[]', 'a: is empty, expected a PNG'],
    ['a damaged PNG', '[0x89, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 0]', 'a: damaged picture: '],
  ])('refuses %s', async (_, bytes, message) => {
    const said = await page.evaluate(
      `fisher.decodeImage({ bytes: Uint8Array.from(${bytes}), where: 'a' }).then(() => 'nothing', (error) => error.message)`,
    );
    expect(said).toContain(message);
  });

  it('a scorer says of an address, a blob and a canvas what Node says of the file', async () => {
    const dir = await writeModel('pixelcnn');
    const model = await loadModel(dir);
    const data = syntheticDataset('noise', { length: 31, shape: model.info.data, seed: 1 });
    const extractor = await openExtractor(model, { threads: 1 });
    const detector = fitDetectors([await extractor.table(take(data, 0, 30))]);
    await extractor.dispose();
    writeFileSync(at('detector.json'), formatDetector(detector));
    const [c, h, w] = model.info.data as [number, number, number];
    const { arrays } = await data.gather([30]);
    writeFileSync(at('a.png'), encodePng({ data: arrays.x!.data as Float32Array, shape: [c, h, w] }));
    const scorer = await openScorer({ model: dir, detector: at('detector.json'), threads: 1 });
    const [expected] = await scorer.score(at('a.png'));
    await scorer.dispose();
    const found = (await page.evaluate(`(async () => {
      const base = location.origin + '/data/';
      const scorer = await fisher.openScorer({ model: base + 'pixelcnn', detector: base + 'detector.json', runtime });
      const blob = await (await fetch(base + 'a.png')).blob();
      const canvas = new OffscreenCanvas(${w}, ${h}).getContext('2d');
      canvas.drawImage(await createImageBitmap(blob), 0, 0);
      const results = [];
      for (const input of [base + 'a.png', blob, canvas.getImageData(0, 0, ${w}, ${h})]) results.push(...(await scorer.score(input)));
      const all = await scorer.score([base + 'a.png', blob]);
      await scorer.dispose();
      return [...results, ...all];
    })()`)) as Judgement[];
    expect(found).toHaveLength(5);
    for (const one of found) {
      expectClose([one.score!, one.pValue!], [expected!.score!, expected!.pValue!], 1e-3, 'score');
      expect([one.verdict, one.layers[0]!.name]).toEqual([expected!.verdict, expected!.layers[0]!.name]);
    }
    const clear = { data: arrays.x!.data as Float32Array, shape: [c, h, w] };
    writeFileSync(at('clear.png'), await transparent(encodePng(clear)));
    const judged = (await page.evaluate(`(async () => {
      const base = location.origin + '/data/';
      const open = (background) => fisher.openScorer({ model: base + 'pixelcnn', detector: base + 'detector.json', runtime, background });
      const [plain, on] = [await open(), await open([255, 255, 255])];
      const refused = await plain.score(base + 'clear.png').catch((error) => error.message);
      const [{ score }] = await on.score(base + 'clear.png');
      await plain.dispose();
      await on.dispose();
      return { refused, score };
    })()`)) as { refused: string; score: number };
    expect(judged.refused).toMatch(/clear\.png: is transparent at row 0, column 0 \(alpha 0\)/);
    const white = await openScorer({
      model: dir,
      detector: at('detector.json'),
      threads: 1,
      background: [255, 255, 255],
    });
    const [onWhite] = await white.score(at('clear.png'));
    await white.dispose();
    expectClose([judged.score], [onWhite!.score!], 1e-3, 'score on white');
    const said = await page.evaluate(
      `fisher.loadModel(location.origin + '/data/nowhere').catch((error) => error.message)`,
    );
    expect(said).toMatch(/\/data\/nowhere\/model.json: cannot be fetched: 404/);
  });
});
