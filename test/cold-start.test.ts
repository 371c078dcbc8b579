// What a program loads before it does anything: none of the large libraries, and so it starts at once.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { inTemporaryFolder } from './support/cli.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const hook = pathToFileURL(join(root, 'test/support/loaded.mjs')).href;
const bin = join(root, 'bin/fisher-ood.js');

/**
 * Runs Node and tells which modules it loaded, and the processor seconds it took (with those of the hook, where there
 * is one).
 */
function start(args: readonly string[], hooked: boolean) {
  return inTemporaryFolder(async (dir) => {
    const LOADED = join(dir, 'loaded');
    const env = { ...process.env, LOADED, LOADED_HOOK: hooked ? 'on' : 'off' };
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', hook, ...args], {
      cwd: root,
      env,
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    const lines = readFileSync(LOADED, 'utf8').split('\n').filter(Boolean);
    const seconds = Number(lines.find((line) => line.startsWith('seconds '))!.slice(8));
    // Two small files of hyparquet are used by themselves; its readers are not among them.
    const libraries = lines.filter((line) => !/\/hyparquet\/src\/(delta|thrift)\.js$/.test(line));
    const packages = libraries.flatMap((line) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(line)?.[1] ?? []);
    const files = lines.flatMap((line) => /\/dist\/(.*)$/.exec(line)?.[1] ?? []);
    return { stdout, seconds, packages: [...new Set(packages)].sort(), files: [...new Set(files)].sort() };
  });
}

/** The least of five, as on a machine with nothing else to do, where Node itself takes 0.06 seconds to start. */
async function secondsOf(args: readonly string[]): Promise<number> {
  const least = async (what: readonly string[]) => {
    const runs: number[] = [];
    for (let k = 0; k < 5; k++) runs.push((await start(what, false)).seconds);
    return Math.min(...runs);
  };
  const slow = Math.max(1, (await least(['-e', '0'])) / 0.06);
  return (await least(args)) / slow;
}

describe('the command line', () => {
  const light = ['demo', 'sample', 'inspect', 'check', 'features', 'fit', 'score', 'eval'].map((name) => [
    name,
    '--help',
  ]);

  it.each([['--help'], ['--version'], ...light].map((args) => [args.join(' '), args]))(
    'loads no package for %s',
    async (_, args) => {
      const { packages, files, stdout } = await start([bin, ...args], true);
      expect(stdout).not.toBe('');
      expect(packages).toEqual([]);
      // The command line itself, errors, limits and two helpers: what does the work of a command is not among them.
      expect(files.filter((file) => !/^cli\/(usage\/|main|options|notes|terminal)/.test(file))).toEqual([
        'defined.js',
        'engine/limits.js',
        'errors.js',
        'node/machine.js',
        'node/words.js',
      ]);
    },
  );

  it.each([['train'], ['data'], ['reproduce']])('loads nothing that draws or computes for %s --help', async (name) => {
    const { packages } = await start([bin, name, '--help'], true);
    for (const heavy of ['sharp', 'onnxruntime-node', '@observablehq/plot', 'linkedom']) {
      expect(packages).not.toContain(heavy);
    }
  });

  it('prints its help within a quarter of a second of processor time', async () => {
    expect(await secondsOf([bin, '--help'])).toBeLessThan(0.25);
  });
});

describe('the library', () => {
  const load = ['--input-type=module', '-e', "await import('fisher-ood')"];

  it('loads nothing that draws, decodes pictures, reads Parquet or runs graphs', async () => {
    const { packages } = await start(load, true);
    const large = /^(sharp|onnxruntime|onnx-buf|@bufbuild|@observablehq|d3|linkedom|hyparquet|tar$)/;
    expect(packages.filter((name) => large.test(name))).toEqual([]);
    expect(packages).toContain('zod'); // the trace does see packages
  });

  it('is there within half a second of processor time', async () => {
    expect(await secondsOf(load)).toBeLessThan(0.5); // 0.33 to 0.45, as the machine's other work lets it
  });
});
