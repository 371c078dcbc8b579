// Runs one batch of norms of a built-in model and prints the most memory that the process had: node … memory-child.ts
// ARCH BATCH GROUP [LENGTH]

import { normGraph } from '../../src/features/index.ts';
import { lower } from '../../src/lower/index.ts';
import { openSession } from '../../src/node/runtime.ts';
import { encode } from '../../src/onnx/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { defaultModel, type SmallName } from '../support/models.ts';

const [name, batch, group, length] = process.argv.slice(2);
const model = defaultModel(name as SmallName, length === undefined ? undefined : Number(length));
const lowered = lower(normGraph(model.loss()).graph, {
  examples: Number(batch),
  group: Number(group),
  weights: model.weights,
});
const session = await openSession(encode(lowered), { threads: 1 });
const feeds = lowered.inputs.map(({ name: input, dims }) => {
  const value = { data: new Float32Array(sizeOf(dims)).fill(0.5), shape: dims };
  return [input, value] as const;
});
for (let k = 0; k < 2; k++) await session.run(Object.fromEntries(feeds));
process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
