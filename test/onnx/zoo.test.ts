// Small models of every kind, each exported in the ways that people use, against PyTorch, JAX or TensorFlow in float64:
// what check says of them.
//
// The files and table.json are chosen by scripts/exporters/small.py from those that docs/exporters.md is made of.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { LayerAnswer } from '../../src/features/index.ts';
import { runCli } from '../support/cli.ts';

const folder = fileURLToPath(new URL('exporters/zoo', import.meta.url));

interface Row {
  readonly kind: string;
  readonly model: string;
  readonly way: string;
  /** `exact, 2 folded, 1 renamed`, or `refused`. */
  readonly says: string;
  readonly options: readonly string[];
}

const rows = JSON.parse(readFileSync(join(folder, 'table.json'), 'utf8')) as readonly Row[];

interface Said {
  readonly nllError: number;
  readonly layers: readonly LayerAnswer[];
  readonly folded: readonly string[];
  readonly unsure: readonly string[];
}

/**
 * As the pages' matrix counts: parameters that the file has lost, with a word of it or without; tensors too many, but
 * doubtful; other names.
 */
function summary({ layers, folded, unsure }: Said): string {
  const of = (verdict: LayerAnswer['verdict']) => layers.filter((l) => l.verdict === verdict).map((l) => l.name);
  const counts = {
    differ: of('differs').length,
    'too many': of('extra').filter((name) => !unsure.includes(name)).length,
    folded: of('missing').filter((name) => folded.includes(name)).length,
    lost: of('missing').filter((name) => !folded.includes(name)).length,
    unsure: of('extra').filter((name) => unsure.includes(name)).length,
    renamed: of('renamed').length,
  };
  return ['exact', ...Object.entries(counts).flatMap(([what, n]) => (n > 0 ? [`${n} ${what}`] : []))].join(', ');
}

const kinds = [...new Set(rows.map((row) => row.kind))].map(
  (kind) => [kind, rows.filter((r) => r.kind === kind)] as const,
);

describe.each(kinds)('%s', (_kind, some) => {
  it.each(some.map((row) => [row.model, row.way, row] as const))(
    '%s, %s',
    async (model, way, { says, options }) => {
      const file = join(folder, `${model}.${way}.onnx`);
      const done = await runCli('check', file, join(folder, `${model}.check.npz`), '--json', ...options);
      if (says === 'refused') {
        expect(done).toMatchObject({ code: 1, stdout: '' });
        expect(done.stderr).toMatch(/optimize=False/);
        return;
      }
      expect(done.stdout, done.stderr).not.toBe('');
      const said = JSON.parse(done.stdout) as Said;
      expect(said.nllError).toBeLessThan(1e-3);
      expect(summary(said)).toBe(says);
      expect(done.code).toBe(says === 'exact' ? 0 : 1);
    },
    60_000,
  );
});
