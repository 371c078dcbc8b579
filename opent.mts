import { writeFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
import { normGraph } from './src/features/index.ts';
import { Arena } from './src/graph/index.ts';
import { lower } from './src/lower/index.ts';
import { architecture, collectSpecs, initialWeights, paramScope } from './src/models/index.ts';
import { encode } from './src/onnx/index.ts';

const T = Number(process.argv[2]);
const arch = architecture('transformer');
const data = [T];
const config = arch.configure({ layers: 4, width: 512, heads: 8 }, data);
const weights = initialWeights(
  collectSpecs((s) => void arch.loss(config, data, s)),
  0,
);
const nll = arch.loss(config, data, paramScope(new Arena())).nll;
const model = lower(normGraph(nll).graph, { examples: 1, weights });
const bytes = encode(model);
writeFileSync('/tmp/long.onnx', bytes);
const ops: any = {};
for (const n of (model as any).nodes ?? (model as any).graph?.nodes ?? [])
  ops[n.op ?? n.opType] = (ops[n.op ?? n.opType] ?? 0) + 1;
console.log(
  bytes.length / 1e6,
  'MB',
  Object.values(ops).reduce((a: any, b: any) => a + b, 0),
  JSON.stringify(ops),
);
for (const level of ['disabled', 'basic', 'extended', 'all'] as const) {
  const t = performance.now();
  const s = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: level, intraOpNumThreads: 1 });
  console.log(level, (performance.now() - t).toFixed(0));
  await s.release();
}
process.exit(0);
