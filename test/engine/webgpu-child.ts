// Norms of a VAE on the processor and on the graphics card: node … webgpu-child.ts. JSON out: the norms of both, or why
// the card cannot be used.

import { openProgram } from '../../src/engine/index.ts';
import { ModelError } from '../../src/errors.ts';
import { normGraph } from '../../src/features/index.ts';
import { lower } from '../../src/lower/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { defaultModel } from '../support/models.ts';
import { randomData } from '../support/run.ts';

const { loss, weights } = defaultModel('vae');
const { graph } = normGraph(loss());
const feeds = lower(graph, { examples: 2, weights }).inputs.map(({ name, dims }) => {
  return [name, { shape: dims, data: randomData(name, sizeOf(dims)) }] as const;
});

async function norms(provider: 'cpu' | 'webgpu'): Promise<number[]> {
  const program = openProgram(graph, { runtime: nodeRuntime({ cache: '', provider }), weights, batch: 2 });
  try {
    return [...(await program.run(Object.fromEntries(feeds))).sqnorm!.data];
  } finally {
    await program.dispose();
  }
}

try {
  process.stdout.write(JSON.stringify({ webgpu: await norms('webgpu'), cpu: await norms('cpu') }));
} catch (error) {
  if (!(error instanceof ModelError)) throw error;
  process.stdout.write(JSON.stringify({ error: error.message }));
}
