import { openProgram } from './src/engine/index.ts';
import { normGraph } from './src/features/index.ts';
import { Arena } from './src/graph/index.ts';
import { countMultiplications, estimateMemory } from './src/lower/index.ts';
import { architecture, collectSpecs, initialWeights, paramScope } from './src/models/index.ts';
import { nodeRuntime } from './src/node/runtime.ts';
import { simplifyGraph } from './src/ops/index.ts';

const [what, T, layers, width, heads, threads, batch] = process.argv.slice(2) as any;
const arch = architecture('transformer');
const data = [Number(T)];
const config = arch.configure({ layers: +layers, width: +width, heads: +heads }, data);
const t0 = performance.now();
const scope0 = collectSpecs((s) => void arch.loss(config, data, s));
const weights = initialWeights(scope0, 0);
const nll = arch.loss(config, data, paramScope(new Arena())).nll;
const graph = what === 'forward' ? simplifyGraph({ arena: nll.arena, outputs: { nll } }) : normGraph(nll).graph;
const n = Number(batch ?? 1);
const program = openProgram(graph, { runtime: nodeRuntime({ cache: '' }), threads: +threads, weights, batch: n });
const t1 = performance.now();
await program.open();
const t2 = performance.now();
globalThis.gc?.();
const rss0 = process.memoryUsage().rss;
const x = new Float32Array(n * +T).map((_, i) => (i * 7919 + (i >> 3)) % 256);
const times = [];
let out: any;
for (let k = 0; k < Number(process.env.K ?? 4); k++) {
  const t = performance.now();
  out = await program.run({ x: { data: x, shape: [n, +T] } });
  times.push(performance.now() - t);
}
const sum = Object.values(out).reduce((s: number, o: any) => s + o.data[0], 0);
console.log(
  what,
  `T=${T} L=${layers} w=${width}`,
  'graph',
  ((t1 - t0) / 1000).toFixed(2),
  'open',
  ((t2 - t1) / 1000).toFixed(2),
  'run',
  Math.min(...times).toFixed(0),
  'ms; rss before',
  (rss0 / 2 ** 20).toFixed(0),
  'peak',
  (process.resourceUsage().maxRSS / 1024).toFixed(0),
  'est',
  (estimateMemory(graph).perExample / 2 ** 20).toFixed(0),
  'GMul',
  (countMultiplications(graph, 1) / 1e9).toFixed(2),
  'sum',
  sum,
);
process.exit(0);
