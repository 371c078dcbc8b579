// Files that today's exporters write, against PyTorch in float64: every name and every norm is right, or the file is
// refused in known words.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/index.ts';
import { readNpz } from '../../src/data/npy.ts';
import { FisherError } from '../../src/errors.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { parseObjective, type ScoringModel } from '../../src/store/index.ts';
import { expectSqNorms } from '../support/compare.ts';

const shared = fileURLToPath(new URL('../../../shared/exporters', import.meta.url));
const own = fileURLToPath(new URL('exporters', import.meta.url));
const folders = [join(shared, 'min'), join(shared, 'models'), own].filter(existsSync);
const found = folders.flatMap((folder) =>
  readdirSync(folder).flatMap((name): [string, string][] =>
    name.endsWith('.onnx') ? [[name, join(folder, name)]] : [],
  ),
);
/** Some are kept beside this test, for a checkout that stands alone. */
const files = [...new Map(found).values()];

/** What a file is refused with until it can be read: any of these is an answer, a wrong number is none. */
const refusals = [/is lost|are lost/, /the file has only a trace of it/];

/** Files that are refused, or read wrongly, for reasons that have nothing to do with parameters. */
const elsewhere = new Set([
  // noise that is drawn by us, not by PyTorch
  ...['randn_like', 'random-normal-like-dynamo'],
]);

async function tableOf(model: ScoringModel, inputs: ReturnType<typeof readNpz>) {
  const names = Object.keys(inputs);
  const arrays = names.map((key) => {
    const { shape, data, dtype } = inputs[key]!;
    const numbers = data as ArrayLike<number | bigint>;
    const stored = dtype.includes('int')
      ? BigInt64Array.from(numbers as ArrayLike<bigint>, BigInt)
      : Float32Array.from(numbers, Number);
    const name = names.length === 1 ? Object.keys(model.inputs)[0]! : key;
    return [name, { data: stored, shape: shape.slice(1) }] as const;
  });
  const length = inputs[names[0]!]!.shape[0]!;
  const extractor = await openExtractor(model, { threads: 1 });
  try {
    return await extractor.table(memoryDataset('inputs', length, 'inputs', Object.fromEntries(arrays)));
  } finally {
    await extractor.dispose();
  }
}

const readNumbers = (path: string) => readNpz(new Uint8Array(readFileSync(path)), path);

describe.skipIf(files.length === 0).each(files.map((file) => [basename(file, '.onnx'), file]))('%s', (name, file) => {
  it('has the parameters and the norms of PyTorch, or is refused', async () => {
    const base = file.replace(/(\.(a1|b|d1|e))?\.onnx$/, '');
    const command = existsSync(`${base}.cmd.txt`) ? readFileSync(`${base}.cmd.txt`, 'utf8') : '';
    const objective = /'--objective' '([^']*)'/.exec(command)?.[1];
    let model: ScoringModel;
    let table: Awaited<ReturnType<typeof tableOf>>;
    try {
      model = await loadOnnx(file, objective ? { objective: parseObjective(objective) } : {});
      table = await tableOf(model, readNumbers(`${base}.inputs.npz`));
    } catch (error) {
      if (elsewhere.has(name)) return;
      expect(error).toBeInstanceOf(FisherError);
      expect(
        refusals.some((pattern) => pattern.test((error as Error).message)),
        (error as Error).message,
      ).toBe(true);
      return;
    }
    if (elsewhere.has(name) || !existsSync(`${base}.expected.npz`)) return;
    const expected = readNumbers(`${base}.expected.npz`);
    if (!expected.names) {
      expectSqNorms(table.nll, expected.nll!.data as ArrayLike<number>, ['nll']);
      return;
    }
    const names = expected.names.data as readonly string[];
    const { folded, doubtful } = model.parameters!;
    // Tensors that TorchScript made of parameters have no name of these; each is listed as doubtful.
    const unnamed = table.names.filter((key) => !names.includes(key));
    const said = doubtful.filter((d) => d.parameter).map((d) => d.name);
    expect(unnamed.filter((key) => !said.includes(key))).toEqual([]);
    const named = table.names.filter((key) => names.includes(key));
    const n = expected.nll!.shape[0]!; // the oracle may have seen the first few only
    const pick = (all: readonly string[], values: ArrayLike<number | bigint>) =>
      Array.from({ length: n }, (_, i) => named.map((key) => Number(values[i * all.length + all.indexOf(key)]))).flat();
    expectSqNorms(table.nll.subarray(0, n), expected.nll!.data as ArrayLike<number>, ['nll']);
    if (named.length > 0) {
      expectSqNorms(pick(table.names, table.sqNorms), pick(names, expected.sqnorm!.data as ArrayLike<number>), named);
    }
    if (unnamed.length > 0) return;
    const missing = names.filter((key) => !table.names.includes(key));
    expect(folded.map((f) => f.name).sort()).toEqual([...missing].sort());
  });
});
