// The combined detector of a model that leaves a length open: features of longer and shorter texts are brought to the
// length it was fitted on, and its file says which.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/index.ts';
import { readNpz } from '../../src/data/npy.ts';
import { fitDetectors, formatDetector, parseDetector } from '../../src/detectors/index.ts';
import { unpacked } from '../../src/features/index.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { openAspects } from '../../src/scoring/aspects.ts';
import { combinedExtractor } from '../../src/scoring/combined.ts';
import { featuresOf, fitCombinedOn } from '../../src/scoring/index.ts';
import { RandomStream } from '../../src/tensor/random.ts';

const at = (name: string) => fileURLToPath(new URL(`../onnx/axes/${name}`, import.meta.url));

it('has features of any length per token of the length it was fitted on', async () => {
  const model = await loadOnnx(at('lm.dynamo.onnx'));
  const answers = readNpz(new Uint8Array(readFileSync(at('lm.s6.inputs.npz'))), 'lm.s6');
  const [[key, { data: known }]] = Object.entries(answers) as unknown as [[string, { data: BigInt64Array }]];
  const most = Math.max(...Array.from(known, Number));
  const texts = (name: string, n: number, length: number) => {
    const stream = new RandomStream(1, name);
    const data = BigInt64Array.from({ length: n * length }, (_, i) => BigInt(stream.integer(i, 0, most + 1)));
    return memoryDataset(name, n, name, { [key]: { data, shape: [length] } });
  };
  const runtime = nodeRuntime();
  const options = { runtime, groups: [1], seed: 0, threads: 1 };
  const fit = { name: 'fit', data: texts('fit', 40, 6) };
  const combined = await fitCombinedOn(model, fit, options);
  expect(combined.size).toBe(6);
  const [tables] = await featuresOf(model, [fit], options);
  const file = parseDetector(formatDetector({ ...fitDetectors(tables!), combined }), 'd.json');
  const extractor = await combinedExtractor(model, file, { runtime, threads: 1 });
  const plain = await openAspects(
    model,
    { runtime, threads: 1, noiseSamples: 1 },
    file.combined!.metrics.map((metric) => unpacked(metric, 'd.json')),
  );
  for (const [length, ratio] of [
    [6, 1],
    [12, 1 / 2],
  ] as const) {
    const data = texts(`of ${length}`, 5, length);
    const [found, raw] = [await extractor.table(data), await plain.table(data)];
    for (const [all, given] of [
      [found.nll, raw.nll],
      [found.sqNorms, raw.sqNorms],
      [found.views!.radial!, raw.views!.radial!],
      [found.views!.fisher!, raw.views!.fisher!],
    ] as const) {
      expect(all).toEqual(given.map((v) => ratio * v));
    }
    const parts = [];
    for await (const part of extractor.tables(data)) parts.push(...part.nll);
    expect(parts).toEqual(Array.from(found.nll));
  }
  await extractor.dispose();
  await plain.dispose();
});
