// npm run bench:profile -- MODEL [forward|norms|train]: where the time of a run goes, by ONNX Runtime's own profiler.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { alignColumns } from '../src/eval/index.ts';
import { type Case, compile, trainingPart } from './cases.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: 'string', default: '64' },
    group: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    runs: { type: 'string', default: '5' },
    top: { type: 'string', default: '30' },
  },
});
const [model = 'glow', what = 'norms'] = positionals;
const [batch, runs] = [Number(values.batch), Number(values.runs)];
const group = what === 'train' ? trainingPart(model, batch) : Number(values.group);
const { bytes, feeds } = await compile({ model, what: what as Case['what'], batch, group });

const folder = mkdtempSync(join(tmpdir(), 'profile-'));
interface Event {
  readonly cat: string;
  readonly name: string;
  readonly dur: number;
  readonly args: { readonly op_name: string; readonly input_type_shape: unknown; readonly output_type_shape: unknown };
}
let events: readonly Event[];
try {
  const session = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: Number(values.threads),
    interOpNumThreads: 1,
    enableMemPattern: false,
    enableProfiling: true,
    profileFilePrefix: join(folder, 'run'),
  });
  const tensors = Object.fromEntries(
    Object.entries(feeds).map(([name, { data, shape }]) => [name, new ort.Tensor(data as Float32Array, [...shape])]),
  );
  for (let i = 0; i <= runs; i++) await session.run(tensors);
  session.endProfiling();
  events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), 'utf8')) as Event[];
} finally {
  rmSync(folder, { recursive: true });
}

const kernels = events.filter((e) => e.cat === 'Node' && e.name.endsWith('_kernel_time'));
const perRun = kernels.length / (runs + 1);
const timed = kernels.slice(perRun); // the first run takes memory from the system

function table(title: string, keyOf: (e: Event) => string, most: number): string {
  const sums = new Map<string, { ms: number; count: number }>();
  for (const e of timed) {
    const { ms, count } = sums.get(keyOf(e)) ?? { ms: 0, count: 0 };
    sums.set(keyOf(e), { ms: ms + e.dur / 1000 / runs, count: count + 1 / runs });
  }
  const rows = [...sums].sort((a, b) => b[1].ms - a[1].ms).slice(0, most);
  return alignColumns([
    [title, 'ms', 'nodes'],
    ...rows.map(([key, { ms, count }]) => [key, ms.toFixed(2), count.toFixed(0)]),
  ]);
}

const shapes = (value: unknown) => JSON.stringify(value).replace(/[{}"]|float:/g, '');
const total = timed.reduce((sum, e) => sum + e.dur, 0) / 1000 / runs;
process.stdout.write(`${model}, ${what}, batches of ${batch}: ${total.toFixed(1)} ms in ${perRun} nodes\n\n`);
process.stdout.write(`${table('op', (e) => e.args.op_name, 15)}\n\n`);
const byShape = table(
  'shapes',
  ({ args }) => `${args.op_name} ${shapes(args.input_type_shape)} -> ${shapes(args.output_type_shape)}`.slice(0, 120),
  Number(values.top),
);
process.stdout.write(`${byShape}\n`);
