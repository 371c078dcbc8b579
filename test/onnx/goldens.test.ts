// Models exported by PyTorch, through the command line: squared norms against PyTorch's own in float64, at every batch
// size.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { rename, take } from '../../src/data/index.ts';
import { readNpz } from '../../src/data/npy.ts';
import { feedsFor } from '../../src/engine/feeds.ts';
import { normGraph } from '../../src/features/index.ts';
import { inputsOf, interpret, nameOf, paramsOf } from '../../src/graph/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx, openData, readTable } from '../../src/node/index.ts';
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

describe.skipIf(!here).each(['vae', 'ddpm', 'glow', 'gpt'])('groups of %s', (name) => {
  it('have the norms of sums of their members gradients, in float64', async () => {
    const group = 2;
    const model = await loadOnnx(join(goldens, `${name}.onnx`));
    const data = take(await openData(join(goldens, `${name}.inputs.npz`)), 0, 2 * group);
    const named = Object.keys(data.shapes).length === 1 ? rename(data, 'x', Object.keys(model.inputs)[0]!) : data;
    const loss = model.loss();
    const params = normGraph(loss).names;
    const leaves = params.map((p) => paramsOf({ arena: loss.arena, outputs: { loss } }).find((v) => nameOf(v) === p)!);
    const outputs = Object.fromEntries(differentiate(loss, leaves).map((g, j) => [params[j]!, g]));
    const weights = Object.entries(model.weights).map(([key, w]) => [key, w.data] as const);
    const inputs = inputsOf({ arena: loss.arena, outputs: { loss } });
    const each: ReturnType<typeof interpret>[] = [];
    for (let i = 0; i < 2 * group; i++) {
      const feeds = feedsFor(inputs, await named.gather([i]), [i], 0);
      const given = Object.entries(feeds).map(([key, t]) => {
        return [key, Float64Array.from(t.data as ArrayLike<number>, Number)] as const;
      });
      each.push(interpret({ arena: loss.arena, outputs }, Object.fromEntries([...weights, ...given])));
    }
    const expected = [0, 1].flatMap((g) =>
      params.map((p) => {
        const members = each.slice(g * group, (g + 1) * group).map((e) => e[p]!.data);
        return members[0]!.reduce((sum, _, k) => sum + members.reduce((s, m) => s + m[k]!, 0) ** 2, 0);
      }),
    );
    const extractor = await openExtractor(model, { group, noise: 'index', threads: 1 });
    const table = await extractor.table(named);
    await extractor.dispose();
    expectSqNorms(table.sqNorms, expected, params);
  });
});
