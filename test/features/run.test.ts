// The features command: killed and resumed, sharded, and what it refuses.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeIdx } from '../../src/data/idx.ts';
import { encodePng } from '../../src/data/png.ts';
import { concatTables } from '../../src/features/index.ts';
import { readTable } from '../../src/node/index.ts';
import { inTemporaryFolder, killWhen, runCli, temporaryFolder } from '../support/cli.ts';
import { expectSqNorms } from '../support/compare.ts';

const folder = temporaryFolder();
const model = join(folder.path, 'model');
const data = ['--data', 'sample/mnist'];

beforeAll(async () => {
  const size = ['--config', '{"levels": 1, "steps": 1, "hidden": 4}', '--pad', '32'];
  const { code, stderr } = await runCli(
    'train',
    'glow',
    ...data,
    ...size,
    '--steps',
    '5',
    '--batch',
    '8',
    '--out',
    model,
  );
  expect(code, stderr).toBe(0);
});
afterAll(() => folder.remove());

describe('features', () => {
  it('goes on after kill -9 and writes the table of a run that was not killed', async () => {
    await inTemporaryFolder(async (dir) => {
      const [whole, killed] = [join(dir, 'whole.npz'), join(dir, 'killed.npz')];
      const run = (out: string) => ['features', model, ...data, '--batch', '5', '--out', out];
      expect((await runCli(...run(whole))).code).toBe(0);
      const partial = `${killed}.partial`;
      const size = () => (existsSync(partial) ? statSync(partial).size : 0);
      const row = ((await readTable(whole)).names.length + 2) * 8;
      for (const rows of [20, 200]) await killWhen(run(killed), () => size() > rows * row);
      expect(existsSync(killed)).toBe(false);
      truncateSync(partial, size() - 3); // as if the kill had hit in the middle of a row
      const { code, stderr } = await runCli(...run(killed));
      expect(code, stderr).toBe(0);
      expect(Number(/(\d+) examples had been done before/.exec(stderr)?.[1])).toBeGreaterThanOrEqual(150);
      expect(existsSync(partial)).toBe(false);
      expect(readFileSync(killed).equals(readFileSync(whole))).toBe(true);
    });
  }, 180_000);

  it('keeps what the examples are called, with each shard and group its own', async () => {
    await inTemporaryFolder(async (dir) => {
      const pictures = join(dir, 'pictures');
      mkdirSync(pictures);
      const names = ['1.png', '2.png', '10.png', 'ü 11.png', 'über.png'];
      for (const [k, name] of names.entries()) {
        const data = Uint8Array.from({ length: 28 * 28 }, (_, i) => (i * (k + 3)) % 256);
        writeFileSync(join(pictures, name), encodePng({ data, shape: [1, 28, 28] }));
      }
      const idsOf = async (out: string, ...more: string[]) => {
        const { code, stderr } = await runCli('features', model, '--data', pictures, '--out', join(dir, out), ...more);
        expect(code, stderr).toBe(0);
        return (await readTable(join(dir, out))).ids;
      };
      expect(await idsOf('all.parquet')).toEqual(names);
      expect(await idsOf('second.json', '--shard', '2/2')).toEqual(names.slice(2));
      expect(await idsOf('pairs.npz', '--group', '2')).toEqual(names.slice(0, 4));
      expect(await idsOf('last.parquet', '--group', '2', '--shard', '2/2')).toEqual(names.slice(2, 4));
    });
  }, 60_000);

  it('names rows by the column of --id', async () => {
    await inTemporaryFolder(async (dir) => {
      const rows = [0, 1, 2].map((k) => ({
        pixels: Array.from({ length: 28 }, () => Array(28).fill(k * 90)),
        k: `r${k}`,
      }));
      writeFileSync(join(dir, 'rows.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
      const chosen = ['--data', join(dir, 'rows.jsonl:pixels'), '--id', 'k', '--out', join(dir, 'out.npz')];
      const { code, stderr } = await runCli('features', model, ...chosen);
      expect(code, stderr).toBe(0);
      expect((await readTable(join(dir, 'out.npz'))).ids).toEqual(['r0', 'r1', 'r2']);
    });
  }, 60_000);

  it('gives shards that join to the whole, in every format', async () => {
    await inTemporaryFolder(async (dir) => {
      const outs = ['a.npz', 'b.parquet', 'c.json'].map((name) => join(dir, name));
      for (const [k, out] of outs.entries()) {
        const { code, stdout } = await runCli(
          'features',
          model,
          ...data,
          '--group',
          '5',
          '--shard',
          `${k + 1}/3`,
          '--out',
          out,
          '--json',
        );
        expect(code).toBe(0);
        const result = JSON.parse(stdout) as { n: number; names: string[]; out: string; examplesPerSecond: number };
        expect(Object.keys(result)).toEqual(['n', 'names', 'out', 'examplesPerSecond']);
        expect(result.n).toBe(k === 0 ? 66 : 67);
      }
      const joined = concatTables(await Promise.all(outs.map(readTable)));
      const out = join(dir, 'whole.npz');
      await runCli('features', model, ...data, '--group', '5', '--out', out);
      const table = await readTable(out);
      expectSqNorms(joined.sqNorms, table.sqNorms, table.names);
      expect(joined.nll.length).toBe(200);
    });
  }, 180_000);

  it('refuses a .partial file of another run and one that is damaged, and keeps both', async () => {
    await inTemporaryFolder(async (dir) => {
      const out = join(dir, 'x.npz');
      const run = ['features', model, ...data, '--batch', '5', '--out', out];
      await killWhen(run, () => existsSync(`${out}.partial`) && statSync(`${out}.partial`).size > 5000);
      const other = await runCli(...run, '--seed', '1');
      expect(other.code).toBe(1);
      expect(other.stderr).toMatch(/\.partial is of another run; delete it to start over/);
      writeFileSync(`${out}.partial`, 'nonsense\n');
      const damaged = await runCli(...run);
      expect(damaged.code).toBe(1);
      expect(damaged.stderr).toMatch(/x\.npz\.partial: does not start with a line of JSON/);
      expect(readFileSync(`${out}.partial`, 'utf8')).toBe('nonsense\n');
    });
  }, 180_000);

  it('refuses to go on with other examples of the same file, whatever they differ in', async () => {
    await inTemporaryFolder(async (dir) => {
      const out = join(dir, 'x.npz');
      const partial = `${out}.partial`;
      const pixels = Uint8Array.from({ length: 400 * 28 * 28 }, (_, i) => (i * 31 + (i >> 7)) % 256);
      const images = join(dir, 'train-images-idx3-ubyte');
      const labelsAt = join(dir, 'train-labels-idx1-ubyte');
      const labels = (shift: number) =>
        writeIdx({ data: pixels.slice(0, 400).map((_, i) => (i + shift) % 4), shape: [400] });
      writeFileSync(images, writeIdx({ data: pixels, shape: [400, 28, 28] }));
      writeFileSync(labelsAt, labels(0));
      const run = (spec: string, ...more: string[]) => [
        'features',
        model,
        '--data',
        images + spec,
        '--batch',
        '5',
        '--out',
        out,
        ...more,
      ];
      const started = ['{0,1}[0:150]', '[0:200]', ''];
      const others: readonly (readonly string[][])[] = [
        [['{0,1}[1:151]'], ['{2,3}[0:150]'], ['{0-1}'], ['[0:150]'], ['{0,1}[0:150]', '--group', '5']],
        [['[200:400]'], ['[0:201]'], ['[1:201]'], ['[0:200][0:199]'], [''], ['{0,1}[0:200]']],
        [['', '--limit', '200'], ['[0:400]'], ['', '--shard', '1/2'], ['', '--seed', '1'], ['[200:400]']],
      ];
      for (const [k, spec] of started.entries()) {
        await killWhen(run(spec), () => existsSync(partial) && statSync(partial).size > 5000);
        const before = readFileSync(partial);
        for (const [other, ...more] of others[k]!) {
          const { code, stderr } = await runCli(...run(other!, ...more));
          expect([code, stderr]).toEqual([1, expect.stringMatching(/is of another run.*; delete it to start over/)]);
          expect(readFileSync(partial).equals(before)).toBe(true);
        }
        if (spec.includes('{')) {
          writeFileSync(labelsAt, labels(1));
          expect((await runCli(...run(spec))).stderr).toMatch(/is of another run/);
          writeFileSync(labelsAt, labels(0));
        }
        rmSync(partial);
      }
    });
  }, 120_000);

  it('goes on as the message of a refused run said', async () => {
    await inTemporaryFolder(async (dir) => {
      const [dark, out] = [join(dir, 'dark.idx'), join(dir, 'out.npz')];
      const pixels = Uint8Array.from({ length: 3 * 28 * 28 }, (_, i) => (i * i) % 2);
      writeFileSync(dark, writeIdx({ shape: [3, 28, 28], data: pixels }));
      const refused = await runCli('features', model, '--data', dark, '--out', out);
      expect(refused.stderr).toContain('holds only the values 0 and 1, expected pixels 0..255; say --pixels 0,1');
      const { code, stderr } = await runCli('features', model, '--data', dark, '--out', out, '--pixels', '0,1');
      expect(code, stderr).toBe(0);
    });
  }, 60_000);

  it('leaves a file alone that happens to be called as its own', async () => {
    await inTemporaryFolder(async (dir) => {
      const out = join(dir, 'x.npz');
      for (const content of ['my notes', '{"names":["a"]}\n', '\n', '{"a": 1']) {
        writeFileSync(`${out}.partial`, content);
        const { code, stderr } = await runCli('features', model, ...data, '--out', out);
        expect([code, stderr]).toEqual([1, expect.stringMatching(/x\.npz\.partial: .*delete it to start over/)]);
        expect(readFileSync(`${out}.partial`, 'utf8')).toBe(content);
      }
    });
  });

  it('says before the work that it cannot write there', async () => {
    const { code, stderr } = await runCli('features', model, ...data, '--out', join(folder.path, 'none', 'x.npz'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/x\.npz: cannot write: no such file or folder/);
    expect((await runCli('features', model, ...data, '--out', 'x.csv')).code).toBe(2);
  });
});
