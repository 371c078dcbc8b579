// Norms on the processor and on the graphics card: node … webgpu-child.ts. JSON out: those of both for every model, or
// why the card cannot be used.

import { openProgram } from '../../src/engine/index.ts';
import { ModelError } from '../../src/errors.ts';
import { normGraph } from '../../src/features/index.ts';
import { Arena, type Value } from '../../src/graph/index.ts';
import { lower } from '../../src/lower/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { conv, cos, mul, reduceSum, sin, square } from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import type { Weights } from '../../src/tensor/weights.ts';
import { defaultModel } from '../support/models.ts';
import { randomData } from '../support/run.ts';

interface Model {
  readonly loss: () => Value;
  readonly weights: Weights;
}

const weight = (shape: readonly number[]) => ({ shape, data: randomData('w', sizeOf(shape)) });

/** Angles far from 0, for which a card's own functions will not do. */
function angles(): Model {
  const loss = () => {
    const arena = new Arena();
    const angle = mul(mul(arena.input('x', [1, 8]), arena.param('w', [8])), 1000);
    return reduceSum(mul(sin(angle), square(cos(angle))));
  };
  return { loss, weights: { w: weight([8]) } };
}

/** Convolutions that the provider has no kernel for. */
function volumes(): Model {
  const kernel = [3, 2, 3, 3, 3];
  const geometry = { strides: [1, 1, 1], pads: [1, 1, 1, 1, 1, 1] };
  const loss = () => {
    const arena = new Arena();
    return reduceSum(square(conv(arena.input('x', [1, 2, 4, 4, 4]), arena.param('w', kernel), geometry)));
  };
  return { loss, weights: { w: weight(kernel) } };
}

async function norms({ loss, weights }: Model, provider: 'cpu' | 'webgpu'): Promise<number[]> {
  const { graph } = normGraph(loss());
  const feeds = lower(graph, { examples: 2, weights }).inputs.map(({ name, dims }) => {
    return [name, { shape: dims, data: randomData(name, sizeOf(dims)) }] as const;
  });
  const program = openProgram(graph, { runtime: nodeRuntime({ cache: '', provider }), weights, batch: 2 });
  try {
    return [...(await program.run(Object.fromEntries(feeds))).sqnorm!.data];
  } finally {
    await program.dispose();
  }
}

const models = { vae: defaultModel('vae'), angles: angles(), volumes: volumes() };
try {
  const found = [];
  for (const [name, model] of Object.entries(models)) {
    found.push({ name, webgpu: await norms(model, 'webgpu'), cpu: await norms(model, 'cpu') });
  }
  process.stdout.write(JSON.stringify({ found }));
} catch (error) {
  if (!(error instanceof ModelError)) throw error;
  process.stdout.write(JSON.stringify({ error: error.message, found: [] }));
}
