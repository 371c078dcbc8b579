// The main job with the shipped model: the paradox, what the norms make of it, and the README's table.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { combinedKinds, detectorNames } from '../../src/detectors/index.ts';
import type { EvalRow } from '../../src/eval/index.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

const names = [...combinedKinds, ...detectorNames];

it('shows what the likelihood gets wrong and the gradients get right', { timeout: 600_000 }, async () => {
  await inTemporaryFolder(async (dir) => {
    const { code, stdout, stderr } = await runCli('demo', '--json', '--out', join(dir, 'demo.html'));
    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout) as { results: EvalRow[] };
    const auroc = (detector: string, group: number, ood: string) =>
      results.find((r) => r.detector === detector && r.group === group && r.ood === ood)!.auroc;
    expect(auroc('likelihood', 1, 'mnist')).toBeLessThan(0.2);
    for (const kind of combinedKinds) {
      expect(auroc(kind, 1, 'mnist')).toBeGreaterThan(0.98);
      expect(auroc(kind, 5, 'mnist')).toBeGreaterThan(0.999);
      for (const ood of ['constant', 'noise']) expect(auroc(kind, 1, ood)).toBeGreaterThan(0.99);
    }
    expect(auroc('layer-norms', 1, 'mnist')).toBeGreaterThan(0.85);
    expect(auroc('layer-norms', 5, 'mnist')).toBeGreaterThan(0.99);
    for (const ood of ['constant', 'noise']) expect(auroc('layer-norms', 1, ood)).toBeGreaterThan(0.98);
    expect(results.filter((r) => r.group === 1).map((r) => r.nIn)).toEqual(new Array(3 * names.length).fill(1000));

    const html = readFileSync(join(dir, 'demo.html'), 'utf8');
    expect(html.match(/<svg/g)!.length).toBeGreaterThanOrEqual(10);
    expect(html).not.toMatch(/NaN|undefined/);

    // The README's table, to what other machines' rounding may change.
    const blocks = readme.split(/B = (\d): AUROC/);
    for (const [group, block] of [
      [1, blocks[2]!],
      [5, blocks[4]!],
    ] as const) {
      const [head, ...lines] = block
        .split('\n')
        .slice(1, 2 + names.length)
        .map((line) => line.trim().split(/ {2,}/));
      const sets = head!.map((cell) => cell.split(' ')[0]!);
      expect(lines.map(([detector]) => detector)).toEqual(names);
      for (const [detector, ...cells] of lines) {
        expect(cells).toHaveLength(sets.length);
        for (const [k, cell] of cells.entries()) {
          const found = auroc(detector!, group, sets[k]!);
          expect(Math.abs(Number.parseFloat(cell) - found), `${sets[k]} ${detector} B = ${group}`).toBeLessThan(0.01);
        }
      }
    }
  });
});
