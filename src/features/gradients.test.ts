import { describe, expect, it } from 'vitest';
import { syntheticDataset } from '../data/index.ts';
import { architecture, collectSpecs, initialWeights } from '../models/index.ts';
import { openExtractor, weightGradients } from '../node/defaults.ts';
import { builtInModel } from '../store/index.ts';

const arch = architecture('vae');
const shape = [1, 8, 8];
const config = arch.configure({ latent: 3, hidden: 2 }, shape);
const specs = collectSpecs((scope) => void arch.loss(config, shape, scope));
const training = { data: '', fingerprint: '', steps: 1, batch: 1, learningRate: 1, warmUp: 0, seed: 0 };
const model = builtInModel(
  { version: 1, arch: 'vae', config, data: shape, training },
  initialWeights(specs, 0),
  'hash',
);
const data = syntheticDataset('noise', { length: 5, shape, seed: 0 });

describe('gradients of single weights', () => {
  it('add up to the squared norms of all layers', async () => {
    const all = await weightGradients(model, data, { layers: 1000, weights: 1e9, seed: 0, batch: 2 });
    const extractor = await openExtractor(model, { batch: 5, noise: 'index' });
    const table = await extractor.table(data);
    await extractor.dispose();
    expect([...new Set(all.layers)]).toEqual(table.names);
    const d = all.layers.length;
    for (let i = 0; i < 5; i++) {
      table.names.forEach((name, j) => {
        let sum = 0;
        for (let a = 0; a < d; a++) if (all.layers[a] === name) sum += all.gradients[i * d + a]! ** 2;
        const norm = table.sqNorms[i * table.names.length + j]!;
        expect(Math.abs(sum - norm)).toBeLessThan(1e-4 * norm + 1e-12);
      });
    }
  });

  it('are those of a few layers and weights, the same for one seed', async () => {
    const few = await weightGradients(model, data, { layers: 4, weights: 3, seed: 7 });
    expect(new Set(few.layers).size).toBe(4);
    const counts = [...new Set(few.layers)].map((name) => few.layers.filter((l) => l === name).length);
    expect(Math.max(...counts)).toBe(3);
    expect(await weightGradients(model, data, { layers: 4, weights: 3, seed: 7 })).toEqual(few);
    expect((await weightGradients(model, data, { layers: 4, weights: 3, seed: 8 })).layers).not.toEqual(few.layers);
  });
});
