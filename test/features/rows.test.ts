// Rows of numbers, as tables of pixels have them, for models of images: the same examples as those of an array of
// images, or a refusal.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/data/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { asModelTakes } from '../../src/features/index.ts';
import { openData } from '../../src/node/index.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { smallModel } from '../support/models.ts';

const vae = smallModel('vae'); // of [1, 8, 8]
const padded: ScoringModel = { ...vae, preparation: { pad: [8, 8] } };
const resized: ScoringModel = { ...vae, preparation: { resize: [8, 8] } };
const folder = temporaryFolder();
afterAll(() => folder.remove());
const at = (name: string) => join(folder.path, name);

const n = 5;
const pixels = (size: number) => Uint8Array.from({ length: n * size }, (_, i) => (i * i * 7) % 256);
const rowsOf = (size: number) =>
  Array.from({ length: n }, (_, k) => [...pixels(size).subarray(k * size, (k + 1) * size)]);
const csv = (head: readonly string[], rows: readonly (readonly (number | string)[])[]) =>
  [...(head.length === 0 ? [] : [head]), ...rows].map((row) => row.join()).join('\n');
const labelled = (size: number) => rowsOf(size).map((row, k) => [k, ...row]);
const names = (h: number, w: number) =>
  Array.from({ length: h * w }, (_, k) => `${1 + Math.floor(k / w)}x${1 + (k % w)}`);
const numbered = (size: number) => Array.from({ length: size }, (_, k) => `pixel${k}`);

async function valuesOf(data: Dataset): Promise<{ shapes: unknown; values: readonly number[] }> {
  const { arrays } = await data.gather([4, 0, 2]);
  return { shapes: data.shapes, values: Array.from(arrays.x!.data, Number) };
}

beforeAll(async () => {
  const write = (name: string, content: string | Uint8Array) => writeFile(at(name), content);
  const npy = (h: number, w: number) => writeNpy({ dtype: 'uint8', shape: [n, h, w], data: pixels(h * w) });
  await write('images.npy', npy(8, 8));
  await write('flat.npy', writeNpy({ dtype: 'uint8', shape: [n, 64], data: pixels(64) }));
  await write('small.npy', npy(7, 7));
  await write('wide.npy', npy(6, 8));
  await write('kaggle.csv', csv(['label', ...numbered(64)], labelled(64)));
  await write('grid.csv', csv(['label', ...names(7, 7)], labelled(49)));
  await write('named.csv', csv(['y', ...Array.from({ length: 64 }, (_, k) => `f${k}`)], labelled(64)));
  await write('quoted.csv', csv(['"label"', ...numbered(64).map((name) => `"${name}"`)], labelled(64)));
  await write('bare.csv', csv([], rowsOf(64)));
  await write('bare-labels.csv', csv([], labelled(64)));
  await write('wide.csv', csv(['label', ...names(6, 8)], labelled(48)));
  await write('three.csv', csv([], rowsOf(192)));
  await write(
    'rows.jsonl',
    rowsOf(64)
      .map((image, label) => JSON.stringify({ label, image }))
      .join('\n'),
  );
  const grids = rowsOf(64).map((row) => Array.from({ length: 8 }, (_, k) => row.slice(8 * k, 8 * k + 8)));
  await write('grids.jsonl', grids.map((image) => JSON.stringify(image)).join('\n'));
  const columns = ['label', ...numbered(64)].map((name, k) => ({
    name,
    data: Int32Array.from(labelled(64), (row) => row[k]!),
    type: 'INT32' as const,
    nullable: false,
  }));
  await write('kaggle.parquet', new Uint8Array(parquetWriteBuffer({ columnData: columns })));
});

describe('rows of as many numbers as the model has pixels', () => {
  it.each([
    'flat.npy',
    'kaggle.csv',
    'named.csv',
    'quoted.csv',
    'bare.csv',
    'rows.jsonl',
    'rows.jsonl:image',
    'grids.jsonl',
    'kaggle.parquet',
  ])('%s are images', async (name) => {
    const expected = await valuesOf(asModelTakes(vae, await openData(at('images.npy'))));
    const data = asModelTakes(vae, await openData(at(name), { like: [1, 8, 8] }));
    expect(await valuesOf(data)).toEqual(expected);
  });

  it('are said, and so is the column that was taken for a label', async () => {
    const data = asModelTakes(vae, await openData(at('kaggle.csv')));
    expect(data.notes()).toEqual([
      `${at('kaggle.csv')}: the column 'label' is taken for a label and left out`,
      `${at('kaggle.csv')}: rows of 64 numbers are taken for images of [1,8,8]`,
    ]);
  });

  it('have their labels as names where `id` says so', async () => {
    const data = asModelTakes(vae, await openData(at('bare-labels.csv'), { id: '0' }));
    expect(await data.ids!([1, 4])).toEqual(['1', '4']);
    const expected = await valuesOf(asModelTakes(vae, await openData(at('images.npy'))));
    expect(await valuesOf(data)).toEqual(expected);
  });
});

describe('what the model prepares', () => {
  it('is of the only shape that it makes an image of', async () => {
    const expected = await valuesOf(asModelTakes(padded, await openData(at('small.npy'))));
    expect(await valuesOf(asModelTakes(padded, await openData(at('grid.csv'))))).toEqual(expected);
  });

  it('is refused where several shapes fit, and read as `shape` says', async () => {
    const spec = at('wide.csv');
    for (const [model, all] of [
      [padded, '6×8, 8×6'],
      [resized, '1×48, 2×24, 3×16, 4×12, … (10)'],
    ] as const) {
      const data = await openData(spec);
      expect(() => asModelTakes(model, data)).toThrow(
        `${spec}: holds rows of 48 numbers, which may be images of ${all}; say which with \`shape: `,
      );
      const told = asModelTakes(model, await openData(spec, { shape: [6, 8] }));
      const expected = await valuesOf(asModelTakes(model, await openData(at('wide.npy'))));
      expect(await valuesOf(told)).toEqual(expected);
      const other = asModelTakes(model, await openData(spec, { shape: [8, 6] }));
      expect(other.fingerprint).not.toBe(told.fingerprint);
    }
  });

  it('of three channels is refused until it is said where they stand', async () => {
    const colour: ScoringModel = { ...vae, inputs: { x: [3, 8, 8] } };
    const spec = at('three.csv');
    const rows = await openData(spec);
    expect(() => asModelTakes(colour, rows)).toThrow(
      `${spec}: holds rows of 192 numbers, which may be images of 3×8×8, 8×8×3; say which with \`shape: 3x8x8\``,
    );
    const first = await valuesOf(asModelTakes(colour, await openData(spec, { shape: [3, 8, 8] })));
    const last = await valuesOf(asModelTakes(colour, await openData(spec, { shape: [8, 8, 3] })));
    expect([first.shapes, last.shapes]).toEqual([{ x: [3, 8, 8] }, { x: [3, 8, 8] }]);
    expect(first.values.slice(0, 192)).toEqual(rowsOf(192)[4]);
    const beside = Array.from({ length: 192 }, (_, i) => rowsOf(192)[4]![(i % 64) * 3 + Math.floor(i / 64)]);
    expect(last.values.slice(0, 192)).toEqual(beside);
  });
});

it('rows of another number are refused, with what to type for a column of labels', async () => {
  const spec = at('bare-labels.csv');
  const data = await openData(spec, { like: [1, 8, 8] });
  expect(() => asModelTakes(vae, data)).toThrow(
    `${spec}: holds rows of 65 numbers, and the model takes images of [1,8,8]; is one of them a label? \`id: NAME\``,
  );
  await expect(openData(spec, { shape: [8, 8] })).rejects.toThrow(
    `${spec}: holds [65] an example, which \`shape: 8x8\` does not fit`,
  );
});

it('a table of pixels trains, fits and evaluates as pictures do', async () => {
  const [spec, model, detector] = [at('grid.csv'), at('model'), at('detector.json')];
  const size = ['--pad', '8', '--config', '{"hidden": 2, "latent": 2}', '--steps', '2'];
  const train = ['train', 'vae', '--data', spec, '--batch', '4', ...size, '--out', model];
  const refused = await runCli(...train);
  expect(refused.stderr).toContain('holds no images, but rows of 49 numbers; say of what shape with --shape 7x7');
  const trained = await runCli(...train, '--shape', '7x7');
  expect(trained.code, trained.stderr).toBe(0);
  const fitted = await runCli('fit', model, '--data', spec, '--group', '1', '--out', detector);
  expect(fitted.code, fitted.stderr).toBe(0);
  expect(fitted.stderr).toContain('rows of 49 numbers are taken for images of [1,7,7]');
  const sets = ['--in', spec, '--ood', 'noise=noise:20', '--ood', `images=${at('small.npy')}`, '--shape', '7x7'];
  const evaluated = await runCli('eval', detector, ...sets, '--json');
  expect(evaluated.code, evaluated.stderr).toBe(0);
  const { stderr } = await runCli('score', detector, '--data', spec, '--shape', '7');
  expect(stderr).toContain("--shape is '7', expected the height and width of images, or with channels");
}, 60_000);
