// Opens a session in a thread of its own and ends while it runs, or while it opens: node … lanes-child.ts
// exit|throw|leave|opening.

import { normGraph } from '../../src/features/index.ts';
import { lower } from '../../src/lower/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { encode } from '../../src/onnx/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { defaultModel } from '../support/models.ts';

const how = process.argv[2];
const model = defaultModel('ddpm');
const lowered = lower(normGraph(model.loss()).graph, { examples: 8, weights: model.weights });
const opening = nodeRuntime({ cache: '' }).open(encode(lowered), { apart: true });
if (how === 'opening') setTimeout(() => process.exit(3), 150);
const session = await opening;
const feeds = lowered.inputs.map(({ name, dims }) => {
  const value = { data: new Float32Array(sizeOf(dims)).fill(0.5), shape: dims };
  return [name, value] as const;
});
const runs = Array.from({ length: 3 }, () => session.run(Object.fromEntries(feeds)));
setTimeout(() => {
  if (how === 'exit') process.exit(3);
  if (how === 'throw') throw new Error('for the test');
}, 60);
if (how === 'leave') await Promise.all(runs); // and leave the session as it is
