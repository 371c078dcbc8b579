// What commands say of the data they read: files that are left out, pictures that viewers would show otherwise.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encode } from '../../src/onnx/index.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { network, node } from '../support/onnx.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (name: string) => join(folder.path, name);
const [model, images] = [at('m.onnx'), at('images')];
const leftOut = `${images}: 2 files that are no picture or recording of the set are left out: LICENSE, labels.csv`;
const turned = `1 of the pictures read, such as ${join(images, '07.png')}, are to be turned by their EXIF data, and are taken as they are stored`;

beforeAll(async () => {
  const nodes = [node('Mul', ['x', 'w'], 'p'), node('ReduceSum', ['p'], 'y', { keepdims: 0 })];
  writeFileSync(model, encode(network({ x: [3, 4, 4] }, { w: [1, 3, 4, 4] }, nodes, ['y'])));
  mkdirSync(images);
  for (let i = 0; i < 20; i++) {
    const values = Uint8Array.from({ length: 48 }, (_, k) => (i * 31 + k * k * (i + 3)) % 251);
    const picture = sharp(values, { raw: { width: 4, height: 4, channels: 3 } });
    const name = `${String(i).padStart(2, '0')}.png`;
    writeFileSync(
      join(images, name),
      await (i === 7 ? picture.withMetadata({ orientation: 6 }) : picture).png().toBuffer(),
    );
  }
  for (const name of ['LICENSE', 'labels.csv']) writeFileSync(join(images, name), 'x');
});

it.each([
  ['features', () => ['features', model, '--data', images, '--out', at('f.npz')]],
  ['fit', () => ['fit', model, '--data', images, '--group', '1', '--out', at('d.json')]],
  ['score', () => ['score', at('d.json'), '--data', images]],
  ['eval', () => ['eval', at('d.json'), '--in', images, '--ood', `again=${images}`]],
] as const)('%s names them in text and in JSON', async (_, args) => {
  const json = await runCli(...args(), '--json');
  expect(json.code, json.stderr).toBe(0);
  expect((JSON.parse(json.stdout) as { notes: string[] }).notes).toEqual([leftOut, turned]);
  const said = json.stderr.split('\n');
  expect(said.filter((line) => line === leftOut || line === turned)).toEqual([leftOut, turned]);
  // Where it is found, in front of the work; what is seen while reading, after it.
  expect(said.indexOf(leftOut)).toBe(0);
});

it('says nothing where there is nothing to say', async () => {
  const { stdout } = await runCli('features', model, '--data', `${images}[0:3]`, '--out', at('g.npz'), '--json');
  expect((JSON.parse(stdout) as { notes: string[] }).notes).toEqual([leftOut]);
});
