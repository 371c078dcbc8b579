// npm run bench: examples/s of the forward pass, of squared norms and of training steps, interleaved in one run.

import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { alignColumns } from '../src/eval/index.ts';
import { normGraph } from '../src/features/index.ts';
import { Arena, type Graph, type Value } from '../src/graph/index.ts';
import { type LowerOptions, lower, type WeightTensors } from '../src/lower/index.ts';
import { architecture, collectSpecs, initialWeights, paramScope } from '../src/models/index.ts';
import { encode } from '../src/onnx/index.ts';
import { openSession } from '../src/runtime/node.ts';
import type { Session, TensorData } from '../src/runtime/session.ts';
import { loadOnnx, summariseOnnx } from '../src/store/index.ts';
import { RandomStream } from '../src/tensor/random.ts';
import { type Shape, sizeOf } from '../src/tensor/shape.ts';
import { flatten, trainingStep } from '../src/train/index.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    models: { type: 'string', default: 'glow,vae,ddpm' },
    batches: { type: 'string', default: '1,8,64' },
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string', default: '2' },
  },
});
const threads = Number(values.threads);
/** Shape of the examples for an architecture. */
const dataOf = (model: string): Shape => (architecture(model).takes === 'bytes' ? [256] : [1, 32, 32]);

interface Case {
  readonly model: string;
  readonly what: 'forward' | 'norms' | 'train';
  readonly batch: number;
  readonly group: number;
}

interface Prepared extends Case {
  readonly session: Session;
  readonly feeds: Readonly<Record<string, TensorData>>;
  readonly compileSeconds: number;
  readonly openSeconds: number;
  readonly peakBytes: number;
  readonly milliseconds: number[];
}

/** A model's loss and weights: the default sizes of an architecture at their random start (speed does not depend on the values), or a file. */
async function subject(model: string): Promise<{ loss: () => Value; weights: WeightTensors }> {
  if (model.endsWith('.onnx')) {
    const { inputs } = await summariseOnnx(model);
    const normal = inputs.map((v) => v.name).filter((name) => name === 'eps' || name === 'noise');
    return loadOnnx(model, { normal });
  }
  const arch = architecture(model);
  const data = dataOf(model);
  const config = arch.configure({}, data);
  const specs = collectSpecs((scope) => void arch.loss(config, data, scope));
  const scorer = arch.scorer?.(config, {});
  return {
    loss: () => {
      const scope = paramScope(new Arena());
      return scorer ? scorer.loss(data, scope) : arch.loss(config, data, scope).nll;
    },
    weights: initialWeights(specs, 0),
  };
}

async function prepare(c: Case): Promise<Prepared> {
  const { loss, weights } = await subject(c.model);
  const before = process.memoryUsage().rss;
  const began = performance.now();
  const fed: Record<string, TensorData> = {};
  let graph: Graph;
  let options: LowerOptions = { examples: c.batch, group: c.group, weights };
  if (c.what === 'forward') {
    const nll = loss();
    graph = { arena: nll.arena, outputs: { nll } };
  } else if (c.what === 'norms') {
    graph = normGraph(loss()).graph;
  } else {
    const arch = architecture(c.model);
    const data = dataOf(c.model);
    const step = trainingStep(arch, arch.configure({}, data), data, c.batch);
    graph = step.graph;
    options = { examples: c.batch, group: c.batch, weights: 'inputs' };
    const flat = (values: Float32Array) => ({ data: values, shape: [values.length] });
    fed.theta = flat(flatten(step.layout, weights));
    fed.m = flat(new Float32Array(step.layout.size));
    fed.v = flat(new Float32Array(step.layout.size));
    for (const name of ['lr', 'correction1', 'correction2']) fed[name] = { data: Float32Array.of(1e-4), shape: [] };
    for (const s of step.specs) if (!s.trainable) fed[s.name] = weights[s.name]!;
  }
  const model = lower(graph, options);
  const bytes = encode(model);
  const compiled = performance.now();
  const session = await openSession(bytes, { threads });
  const opened = performance.now();
  for (const { name, dims } of model.inputs) fed[name] ??= { data: uniform(name, sizeOf(dims)), shape: dims };
  for (let i = 0; i < 2; i++) await session.run(fed);
  return {
    ...c,
    session,
    feeds: fed,
    compileSeconds: (compiled - began) / 1000,
    openSeconds: (opened - compiled) / 1000,
    peakBytes: Math.max(0, process.memoryUsage().rss - before),
    milliseconds: [],
  };
}

function uniform(name: string, size: number): Float32Array {
  const out = new Float32Array(size);
  new RandomStream(0, `bench/${name}`).uniform(0, out);
  return name === 'x' ? out.map((u) => Math.floor(u * 256)) : out;
}

const median = (x: readonly number[]): number => x.toSorted((a, b) => a - b)[x.length >> 1]!;

const results: (Case & {
  examplesPerSecond: number;
  peakBytes: number;
  compileSeconds: number;
  openSeconds: number;
})[] = [];
for (const model of values.models.split(',')) {
  for (const n of values.batches.split(',').map(Number)) {
    const cases: Case[] = [
      { model, what: 'forward', batch: n, group: 1 },
      { model, what: 'norms', batch: n, group: 1 },
    ];
    if (!model.endsWith('.onnx')) cases.push({ model, what: 'train', batch: n, group: n });
    if (n >= 5) cases.push({ model, what: 'norms', batch: n - (n % 5), group: 5 });
    const prepared: Prepared[] = [];
    for (const c of cases) prepared.push(await prepare(c));
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const p of prepared) {
        await p.session.run(p.feeds); // untimed: the threads of the session before spin for a while, and caches are cold
        const began = performance.now();
        await p.session.run(p.feeds);
        p.milliseconds.push(performance.now() - began);
      }
    }
    for (const { session, feeds: _feeds, milliseconds, ...rest } of prepared) {
      await session.dispose();
      results.push({ ...rest, examplesPerSecond: (rest.batch / median(milliseconds)) * 1000 });
    }
    process.stderr.write(`${model}, batches of ${n}: done\n`);
  }
}

if (values.json) {
  process.stdout.write(`${JSON.stringify({ cases: results })}\n`);
} else {
  const forwardOf = (r: Case) =>
    results.find((f) => f.model === r.model && f.what === 'forward' && f.batch >= r.batch && f.batch - r.batch < 5)!;
  const lines = results.map((r) => [
    basename(r.model),
    r.what,
    String(r.batch),
    String(r.group),
    r.examplesPerSecond.toFixed(0),
    (forwardOf(r).examplesPerSecond / r.examplesPerSecond).toFixed(2),
    (r.peakBytes / 2 ** 20).toFixed(0),
    r.compileSeconds.toFixed(2),
    r.openSeconds.toFixed(2),
  ]);
  const head = ['model', 'what', 'batch', 'B', 'examples/s', '× forward', 'MiB', 'compile s', 'open s'];
  process.stdout.write(`${alignColumns([head, ...lines])}\n`);
}
