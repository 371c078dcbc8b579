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

/** Runs Node and tells which modules it loaded, and the processor seconds it took (with those of the hook, where there is one). */
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
    const packages = lines.flatMap((line) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(line)?.[1] ?? []);
    const files = lines.flatMap((line) => /\/dist\/(.*)$/.exec(line)?.[1] ?? []);
    return { stdout, seconds, packages: [...new Set(packages)].sort(), files: [...new Set(files)].sort() };
  });
}

/** The least of three: other processes may be at work on this machine. */
async function secondsOf(args: readonly string[]): Promise<number> {
  const runs: number[] = [];
  for (let k = 0; k < 3; k++) runs.push((await start(args, false)).seconds);
  return Math.min(...runs);
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
      // The command line itself, errors, limits and a helper: what does the work of a command is not among them.
      expect(files.filter((file) => !/^cli\/(usage\/|main|options|notes|terminal)/.test(file))).toEqual([
        'defined.js',
        'engine/limits.js',
        'errors.js',
        'node/machine.js',
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
