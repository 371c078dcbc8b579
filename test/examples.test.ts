// The programs in examples/node that add something of their own, run as they stand.

import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { inTemporaryFolder, runCli } from './support/cli.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(example: string, ...args: string[]) {
  const program = join(root, 'examples/node', example);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', program, ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe('examples/node', () => {
  it('has a detector of its own, which is fitted, kept, read again and evaluated', { timeout: 120_000 }, () =>
    inTemporaryFolder(async (dir) => {
      const out = join(dir, 'd.json');
      const { stdout, stderr } = run(
        'own-detector.ts',
        'models/glow-fashion-mnist',
        'sample/fashion-mnist',
        'sample/mnist',
        out,
      );
      expect(stdout, stderr).toMatch(/^layer-norms: AUROC 0\.\d+\nnearest: AUROC 0\.[6-9]\d+\n$/);
    }),
  );

  it('has a reader of its own', { timeout: 60_000 }, () =>
    inTemporaryFolder(async (dir) => {
      const path = join(dir, 'two.pgm');
      await writeFile(path, `P5 3 2 255\nabcdefP5\n3 2\n255 ghijkl`);
      expect(run('own-reader.ts', path).stdout).toBe('2 pictures of 1×2×3\n');
      await writeFile(path, `P5 3 2 255\nabcdefP5 3 2 255\nghi`);
      expect(run('own-reader.ts', path).stderr).toContain(`${path}: ends within picture 1`);
    }),
  );

  it('has a runtime of its own', { timeout: 240_000 }, () =>
    inTemporaryFolder(async (dir) => {
      const detector = join(dir, 'd.json');
      const model = 'models/glow-fashion-mnist';
      const fit = ['fit', model, '--data', 'sample/fashion-mnist[0:30]', '--out', detector, '--threads', '1'];
      expect((await runCli(...fit)).code).toBe(0);
      const { stdout, stderr } = run('own-runtime.ts', model, detector, 'sample/mnist[0:3]');
      expect(stdout, stderr).toMatch(/^8 examples in \d+ ms\n0: (in|out)\n1: (in|out)\n2: (in|out)\n$/);
    }),
  );
});
