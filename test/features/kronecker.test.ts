// Norms in a metric of Kronecker factors, of whole models: against every gradient, made one by one and mixed in
// float64.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { Dataset } from '../../src/data/index.ts';
import { syntheticDataset } from '../../src/data/index.ts';
import { fisherDiagonal, type Metric, metricOf, packed, unpacked, weightGradients } from '../../src/features/index.ts';
import { factorName, metricName } from '../../src/features/metric-name.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx, openData } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import { expectSqNorms } from '../support/compare.ts';
import { smallModel } from '../support/models.ts';

const how = { runtime: nodeRuntime(), threads: 1 };

/** ‖g‖² of a parameter's gradient in the metric. */
function sqNormIn({ factored, roots }: Metric, name: string, shape: Shape, gradient: Float64Array): number {
  const factors = factored[name];
  const rootsAt = (key: string) => roots[key]!.data;
  const made = (factors?.axes ?? []).reduce((g, axis) => {
    const [d, stride, root] = [shape[axis]!, sizeOf(shape.slice(axis + 1)), rootsAt(factorName(name, axis))];
    return g.map((v, k) => {
      const at = Math.floor(k / stride) % d;
      if (!factors!.mixed?.includes(axis)) return v * root[at]!;
      let sum = 0;
      for (let l = 0; l < d; l++) sum += root[at * d + l]! * g[k + (l - at) * stride]!;
      return sum;
    });
  }, gradient);
  const own = factors ? undefined : rootsAt(metricName(name));
  return made.reduce((sum, v, k) => sum + (own ? v * own[k]! : v) ** 2, 0);
}

async function check(model: ScoringModel, data: Dataset): Promise<number> {
  const metric = unpacked(
    packed(metricOf(await fisherDiagonal(model, data, { ...how, form: 'kronecker' })), data.origin),
    'test',
  );
  const extractor = await openExtractor(model, { threads: 1, views: ['fisher'], metric, noise: 'place' });
  const { names, views, nll } = await extractor.table(data);
  await extractor.dispose();
  const all = Number.MAX_SAFE_INTEGER;
  const { layers, gradients } = await weightGradients(model, data, { ...how, layers: all, weights: all, seed: 0 });
  const expected = Array.from(nll, (_, i) =>
    names.map((name) => {
      const { shape } = model.weights[name]!;
      const start = i * layers.length + layers.indexOf(name);
      return sqNormIn(metric, name, shape, gradients.slice(start, start + sizeOf(shape)));
    }),
  );
  expectSqNorms(views!.fisher!, expected.flat(), names);
  return names.filter((name) => metric.factored[name]?.mixed).length;
}

it.each(['vae', 'glow', 'ddpm', 'pixelcnn', 'pixelvae', 'transformer'] as const)('of a %s', async (arch) => {
  const model = smallModel(arch);
  const data = syntheticDataset('noise', { length: 5, shape: model.info.data, seed: 1 });
  expect(await check(model, data)).toBeGreaterThan(0);
});

const shared = fileURLToPath(new URL('../../../shared', import.meta.url));
const exported = ['goldens', 'exporters/models'].flatMap((folder) => {
  const dir = join(shared, folder);
  const files = existsSync(dir) ? readdirSync(dir).filter((file) => /^[^.]*(\.b)?\.onnx$/.test(file)) : [];
  return files.map((file) => join(dir, file));
});

it.skipIf(exported.length === 0).each(exported)('of %s', async (path) => {
  const data = await openData(path.replace(/(\.b)?\.onnx$/, '.inputs.npz'));
  expect(await check(await loadOnnx(path), data)).toBeGreaterThan(0);
});
