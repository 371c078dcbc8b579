// A built-in model in, images drawn from it out.

import { ModelError } from '../errors.ts';
import { Arena, inputsOf } from '../graph/index.ts';
import { lower } from '../lower/index.ts';
import { paramScope } from '../models/index.ts';
import { encode } from '../onnx/index.ts';
import { feedsFor } from '../runtime/feeds.ts';
import { openSession } from '../runtime/node.ts';
import type { Model } from '../store/index.ts';
import { sizeOf } from '../tensor/shape.ts';

export interface SampleOptions {
  readonly n: number;
  readonly seed: number;
  /** Scales the standard deviation of the latents; 1 draws from the model. */
  readonly temperature?: number;
  readonly threads?: number;
}

export interface Image {
  /** Channels first, 0..255. */
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Image k depends on the seed and k alone. Values are clamped to 0..255. */
export async function drawSamples(model: Model, options: SampleOptions): Promise<readonly Image[]> {
  const { n, seed } = options;
  const { arch, info, weights } = model;
  if (!arch.sample) throw new ModelError(`${arch.name} has no sampler of one step`);
  const arena = new Arena();
  const x = arch.sample(info.config, info.data, paramScope(arena), weights, options.temperature ?? 1);
  const graph = { arena, outputs: { x } };
  const batch = Math.min(n, 64);
  const session = await openSession(encode(lower(graph, { examples: batch, weights })), options);
  const size = sizeOf(info.data);
  const images: Image[] = [];
  try {
    for (let start = 0; start < n; start += batch) {
      const draws = Array.from({ length: batch }, (_, i) => start + i);
      const { data } = (await session.run(feedsFor(inputsOf(graph), { start, n: batch, arrays: {} }, draws, seed))).x!;
      for (let i = 0; i < Math.min(batch, n - start); i++) {
        const pixels = data.slice(i * size, (i + 1) * size).map((v) => Math.min(255, Math.max(0, v)));
        if (pixels.some(Number.isNaN)) throw new ModelError(`sample ${start + i} has values that are not numbers`);
        images.push({ data: pixels, shape: info.data });
      }
    }
  } finally {
    await session.dispose();
  }
  return images;
}
