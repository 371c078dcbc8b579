// npm run bench:devices -- [MODEL ...]: examples/s of the forward pass and of squared norms on the processor and on the
// graphics card (WebGPU), in turn in one run, and how far the card's numbers are from the processor's.

import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { type Feeds, type Outputs, openProgram, type Program } from '../src/engine/index.ts';
import { alignColumns } from '../src/eval/index.ts';
import { nodeRuntime, type Provider } from '../src/node/runtime.ts';
import { RandomStream } from '../src/tensor/random.ts';
import { type Case, type Compiled, compile, median } from './cases.ts';

const USAGE = `usage: npm run bench:devices -- [MODEL ...] [options]

MODEL: an architecture (default: vae glow ddpm) or an ONNX file whose inputs are x in -0.5..0.5 and normal noise.

  --batches 64          examples of a run, several separated by commas
  --what forward,norms  what is run
  --runs 7              runs of which the median is taken, after two that are not timed
  --seconds 10          no further run of a case once its runs have taken so long
  --threads N           of the processor; default: as many as the runtime takes by itself
  --card NAME           of the graphics card, where neither nvidia-smi nor vulkaninfo is there to tell
  --json                one line of JSON for each case, as it is done
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batches: { type: 'string', default: '64' },
    what: { type: 'string', default: 'forward,norms' },
    runs: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '10' },
    threads: { type: 'string' },
    card: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

interface Speed {
  readonly examplesPerSecond: number;
  /** To open the session and run it once: with WebGPU its kernels are compiled. */
  readonly firstSeconds: number;
}

interface Result {
  readonly model: string;
  readonly what: string;
  readonly batch: number;
  readonly cpu?: Speed;
  readonly webgpu?: Speed;
  readonly lossError?: number;
  readonly normError?: number;
  /**
   * How far norms of the processor move where the last digits of the inputs do: a ReLU may be on one side of 0 or the
   * other.
   */
  readonly ownError?: number;
  /** Why the card has no numbers. */
  readonly failed?: string;
}

/** A program on one device, and what its runs gave and took. */
interface Opened {
  readonly program: Program;
  readonly outputs: Outputs;
  readonly firstSeconds: number;
  readonly milliseconds: number[];
}

async function open(provider: Provider, { graph, options, feeds }: Compiled, batch: number): Promise<Opened> {
  const began = performance.now();
  const threads = provider === 'cpu' && values.threads !== undefined ? Number(values.threads) : undefined;
  const program = openProgram(graph, {
    runtime: nodeRuntime({ cache: '', provider }),
    weights: options.weights,
    batch,
    group: 1,
    threads,
  });
  try {
    const outputs = await program.run(feeds);
    const firstSeconds = (performance.now() - began) / 1000;
    const until = began + 1000 * Number(values.seconds);
    do await program.run(feeds);
    while (!program.settled() && performance.now() < until);
    return { program, outputs, firstSeconds, milliseconds: [] };
  } catch (error) {
    await program.dispose();
    throw error;
  }
}

async function measured(c: Case): Promise<Result> {
  const compiled = withInputs(c, await compile(c));
  const { model, what, batch } = c;
  const about = { model: basename(model), what, batch };
  const opened: Opened[] = [];
  try {
    opened.push(await open('cpu', compiled, batch));
    const failed = await open('webgpu', compiled, batch).then(
      (one) => void opened.push(one),
      (error: unknown) => String(error),
    );
    await inTurn(opened, compiled.feeds);
    const [cpu, webgpu] = opened.map(({ firstSeconds, milliseconds }) => {
      return { firstSeconds, examplesPerSecond: (1000 * batch) / median(milliseconds) };
    });
    if (!webgpu) return { ...about, cpu: cpu!, failed: failed ?? '' };
    const [right, found] = opened.map(({ outputs }) => outputs);
    const norms = right!.sqnorm?.data;
    const normErrors = norms && {
      normError: difference(norms, found!.sqnorm!.data, batch),
      ownError: difference(norms, (await opened[0]!.program.run(nudged(compiled.feeds))).sqnorm!.data, batch),
    };
    return {
      ...about,
      cpu: cpu!,
      webgpu,
      lossError: difference(right!.nll!.data, found!.nll!.data, batch),
      ...normErrors,
    };
  } catch (error) {
    return { ...about, failed: String(error) };
  } finally {
    for (const { program } of opened) await program.dispose();
  }
}

/** The same inputs, their last digits one up or down; pixels and tokens, which are whole, as they are. */
function nudged(feeds: Feeds): Feeds {
  const moved = (v: number, k: number) => (Number.isInteger(v) ? v : v * (1 + (k % 2 ? 1 : -1) * 2 ** -23));
  return Object.fromEntries(
    Object.entries(feeds).map(([name, { shape, data }]) => [
      name,
      { shape, data: data instanceof Float32Array ? data.map(moved) : data },
    ]),
  );
}

/** Times a run of each device after the other: machines change from minute to minute. */
async function inTurn(opened: readonly Opened[], feeds: Feeds): Promise<void> {
  const began = performance.now();
  for (let run = 0; run < Number(values.runs); run++) {
    if (run > 0 && performance.now() - began > 1000 * Number(values.seconds)) return;
    for (const { program, milliseconds } of opened) {
      const start = performance.now();
      await program.run(feeds);
      milliseconds.push(performance.now() - start);
    }
  }
}

/**
 * The largest relative difference of two tables of n rows. Where a number is less than the median of its column, it is
 * relative to that: a norm that is next to nothing has no digits that mean anything.
 */
function difference(right: Float32Array, found: Float32Array, n: number): number {
  const columns = right.length / n;
  let worst = 0;
  for (let j = 0; j < columns; j++) {
    const column = Array.from({ length: n }, (_, i) => Math.abs(right[i * columns + j]!));
    const usual = median(column);
    for (let i = 0; i < n; i++) {
      const off = Math.abs(found[i * columns + j]! - right[i * columns + j]!);
      if (off === 0) continue;
      const relative = off / Math.max(column[i]!, usual);
      worst = relative > worst || Number.isNaN(relative) ? relative : worst;
    }
  }
  return worst;
}

/** Files of others take what they were made with, where our architectures take pixels. */
function withInputs({ model }: Case, compiled: Compiled): Compiled {
  if (!model.endsWith('.onnx')) return compiled;
  const feeds = Object.entries(compiled.feeds).map(([name, { shape, data }]) => {
    const made = new Float32Array(data.length);
    const stream = new RandomStream(0, `bench/${name}`);
    if (name === 'x') stream.uniform(0, made);
    else stream.normal(0, made);
    return [name, { shape, data: name === 'x' ? made.map((u) => u - 0.5) : made }] as const;
  });
  return { ...compiled, feeds: Object.fromEntries(feeds) };
}

function cardName(): string {
  if (values.card !== undefined) return values.card;
  const said = (command: string, args: readonly string[]) => {
    const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
    return status === 0 ? stdout : '';
  };
  const [nvidia] = said('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader']).split('\n');
  return nvidia || (/deviceName\s*=\s*(.*)/.exec(said('vulkaninfo', ['--summary']))?.[1] ?? 'not known');
}

function table(results: readonly Result[]): string {
  const rate = (speed?: Speed) => speed?.examplesPerSecond.toFixed(speed.examplesPerSecond < 10 ? 1 : 0) ?? '-';
  const head = [
    'model',
    'what',
    'batch',
    'cpu ex/s',
    'webgpu ex/s',
    '× cpu',
    'first s',
    'loss off by',
    'norms off by',
    'cpu, nudged',
  ];
  const lines = results.map(({ model, what, batch, cpu, webgpu, lossError, normError, ownError }) => [
    model,
    what,
    String(batch),
    rate(cpu),
    rate(webgpu),
    cpu && webgpu ? (webgpu.examplesPerSecond / cpu.examplesPerSecond).toFixed(2) : '-',
    webgpu?.firstSeconds.toFixed(1) ?? '-',
    lossError?.toExponential(1) ?? '-',
    normError?.toExponential(1) ?? '-',
    ownError?.toExponential(1) ?? '-',
  ]);
  const failures = results.flatMap((r) => (r.failed ? [`${r.model}, ${r.what}, batch ${r.batch}: ${r.failed}`] : []));
  return [alignColumns([head, ...lines]), ...failures].join('\n');
}

async function main(): Promise<void> {
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const card = cardName();
  const results: Result[] = [];
  for (const model of positionals.length > 0 ? positionals : ['vae', 'glow', 'ddpm']) {
    for (const batch of values.batches.split(',').map(Number)) {
      for (const what of values.what.split(',')) {
        const result = await measured({ model, what: what as Case['what'], batch, group: 1 });
        results.push(result);
        if (values.json) process.stdout.write(`${JSON.stringify({ card, ...result })}\n`);
        else process.stderr.write(`${result.model}, ${what}, batch ${batch}: ${result.failed ?? 'done'}\n`);
      }
    }
  }
  if (!values.json) process.stdout.write(`card: ${card}\n\n${table(results)}\n`);
}

await main();
