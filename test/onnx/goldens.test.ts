// Models exported by PyTorch, through the command line: squared norms against PyTorch's own in float64, at every batch size.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readNpz } from '../../src/data/npy.ts';
import { readTable } from '../../src/features/index.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import { expectSqNorms } from '../support/compare.ts';

const goldens = fileURLToPath(new URL('../../../shared/goldens', import.meta.url));
const here = existsSync(goldens);

/** Arrays of float64 or text. */
function expectedOf(name: string): { nll: ArrayLike<number>; sqnorm: ArrayLike<number>; names: readonly string[] } {
  const arrays = readNpz(new Uint8Array(readFileSync(join(goldens, `${name}.expected.npz`))), name);
  const numbers = (key: string) => Float64Array.from(arrays[key]!.data as ArrayLike<number>, Number);
  return { nll: numbers('nll'), sqnorm: numbers('sqnorm'), names: arrays.names!.data as readonly string[] };
}

describe.skipIf(!here).each(['vae', 'ddpm', 'glow', 'gpt'])('%s from PyTorch', (name) => {
  it('has the norms of PyTorch for every parameter, at every batch size', async () => {
    const { nll, sqnorm, names } = expectedOf(name);
    const n = nll.length;
    await inTemporaryFolder(async (dir) => {
      for (let batch = 1; batch <= n; batch++) {
        const out = join(dir, `${batch}.npz`);
        const data = join(goldens, `${name}.inputs.npz`);
        const model = join(goldens, `${name}.onnx`);
        const { code, stderr } = await runCli(
          'features',
          model,
          '--data',
          data,
          '--batch',
          String(batch),
          '--out',
          out,
        );
        expect(code, stderr).toBe(0);
        const table = await readTable(out);
        const columns = names.map((param) => table.names.indexOf(param));
        expect(columns).not.toContain(-1);
        const found = Array.from({ length: n }, (_, i) =>
          columns.map((j) => table.sqNorms[i * table.names.length + j]!),
        );
        expectSqNorms(found.flat(), sqnorm, names);
        expectSqNorms(table.nll, nll, ['nll']);
      }
    });
  });
});
