// npm run bench:peers -- SCRIPT …: what others compute per-example norms with and ours, pair by pair; which of theirs
// was fastest, written by hand and off the shelf. See bench/peers.md.

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { alignColumns } from '../src/eval/index.ts';
import { type Case, measure, median, type Prepared, prepare, trainingPart } from './cases.ts';

const { values, positionals: scripts } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string', default: 'glow,vae,ddpm' },
    ways: { type: 'string', default: 'main' },
    batch: { type: 'string', default: '64' },
    runs: { type: 'string', default: '7' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    procs: { type: 'string', default: '1' },
    python: { type: 'string', default: 'python3' },
    json: { type: 'boolean', default: false },
  },
});
if (scripts.length === 0) throw new Error('expected the paths of peers_today.py, peers_jax.py or both');
const [batch, runs, rounds, threads] = [values.batch, values.runs, values.rounds, values.threads].map(Number) as [
  number,
  number,
  number,
  number,
];

/** What a way computes, and with which of ours it is compared. */
const kinds = { norms: 'norms', forward: 'forward', backward: 'train' } as const satisfies Record<string, Case['what']>;
type Kind = keyof typeof kinds;

interface Way {
  readonly script: string;
  /** As the script calls it, and as the tables do: in several processes it is a way of its own. */
  readonly name: string;
  readonly way: string;
  /** Processes that share the threads and the batch. */
  readonly procs: number;
  readonly kind: Kind;
}

/** One measurement of theirs, and ours right after it; examples/s. */
interface Pair extends Way {
  readonly model: string;
  readonly theirs: number;
  readonly ours: number;
  /** Of their norms, against float64. */
  readonly maxRelError: number;
}

const python = (script: string, ...args: string[]): string[] =>
  execFileSync(values.python, [script, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split('\n');

/** Those that the script's --list names, by --ways: `main`, `all`, or names that may end in `*`. */
function waysOf(script: string): Way[] {
  const isWanted = (way: string, isMain: boolean) =>
    values.ways
      .split(',')
      .some(
        (p) => p === 'all' || (p === 'main' ? isMain : p.endsWith('*') ? way.startsWith(p.slice(0, -1)) : p === way),
      );
  return python(script, '--list').flatMap((line) => {
    const [name, kind, main] = describedWay(line);
    if (name === '' || !isWanted(name, main)) return [];
    if (!(kind in kinds)) return []; // norms of groups, which are compared elsewhere
    return values.procs.split(',').flatMap((p) => {
      const procs = Number(p);
      if (procs > 1 && script.includes('jax')) return []; // it has no such option
      return [{ script, name, way: procs > 1 ? `${name}-${procs}procs` : name, procs, kind: kind as Kind }];
    });
  });
}

/** A line of --list: the name, what it computes and whether it is a main one. peers_jax.py has names alone. */
function describedWay(line: string): [name: string, kind: string, main: boolean] {
  const [name = '', kind, main] = line.trim().split(/\s+/);
  if (kind !== undefined) return [name, kind, main === 'main'];
  return [name, /forward|backward/.exec(name)?.[0] ?? 'norms', !name.includes('-map')];
}

/** Their examples/s in a process of its own; undefined where the way does not go here, which is said. */
function theirsOf(
  { script, name, way, procs }: Way,
  model: string,
): { examplesPerSecond: number; maxRelError: number } | undefined {
  const args = ['--models', model, '--ways', name, '--batch', String(batch), '--runs', String(runs)];
  if (procs > 1) args.push('--procs', String(procs));
  const lines = python(script, ...args, '--threads', String(threads)).filter((line) => line.startsWith('{'));
  const found = JSON.parse(lines.at(-1) ?? '{"error": "it prints no result"}') as {
    readonly examplesPerSecond: number;
    readonly maxRelError: number;
    readonly error?: string;
  };
  if (found.error === undefined) return found;
  process.stderr.write(`${model}, ${way}: left out, ${found.error}\n`);
  return undefined;
}

async function pairsOf(model: string, ways: readonly Way[]): Promise<Pair[]> {
  const file = join(dirname(scripts[0]!), `${model}.onnx`);
  const ours = new Map<Kind, Prepared>();
  const caseOf = (kind: Kind): Case =>
    kind === 'backward'
      ? { model, what: 'train', batch, group: trainingPart(model, batch) }
      : { model: file, what: kinds[kind], batch, group: 1 };
  for (const { kind } of ways) if (!ours.has(kind)) ours.set(kind, await prepare(caseOf(kind), threads));
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      const theirs = theirsOf(way, model);
      if (!theirs) continue;
      const own = ours.get(way.kind)!;
      own.milliseconds.length = 0;
      await measure([own], runs);
      const speed = (1000 * batch) / median(own.milliseconds);
      pairs.push({ ...way, model, theirs: theirs.examplesPerSecond, maxRelError: theirs.maxRelError, ours: speed });
      process.stderr.write(`round ${round + 1} of ${rounds}: ${model}, ${way.way}\n`);
    }
  }
  for (const { dispose } of ours.values()) await dispose();
  return pairs;
}

interface Summary {
  readonly model: string;
  readonly way: string;
  readonly kind: Kind;
  readonly theirs: number;
  readonly ours: number;
  /** Ours over theirs, of each pair. */
  readonly ratios: readonly number[];
  readonly maxRelError: number;
}

function summaries(pairs: readonly Pair[]): Summary[] {
  const keys = [...new Set(pairs.map(({ model, way }) => `${model} ${way}`))];
  return keys.map((key) => {
    const own = pairs.filter(({ model, way }) => `${model} ${way}` === key);
    const { model, way, kind } = own[0]!;
    const middle = (of: (pair: Pair) => number) => median(own.map(of));
    const ratios = own.map((pair) => pair.ours / pair.theirs);
    const maxRelError = Math.max(...own.map((pair) => pair.maxRelError));
    return { model, way, kind, theirs: middle((p) => p.theirs), ours: middle((p) => p.ours), ratios, maxRelError };
  });
}

/** Whether somebody has written it for such models, layer by layer; else a library's function does it. */
const isByHand = ({ way }: { readonly way: string }) => way.includes('hand');

const ratioText = (ratios: readonly number[]) =>
  `${median(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(' ')})`;

const models = values.models.split(',');
const ways = scripts.flatMap(waysOf);
if (ways.length === 0) throw new Error(`no way matches ${values.ways}; SCRIPT --list has them`);
const pairs: Pair[] = [];
for (const model of models) pairs.push(...(await pairsOf(model, ways)));
const found = summaries(pairs).sort(
  (a, b) => models.indexOf(a.model) - models.indexOf(b.model) || a.kind.localeCompare(b.kind) || b.theirs - a.theirs,
);

const fastest = models.flatMap((model) =>
  (['norms', 'forward', 'backward'] as const).flatMap((kind) =>
    [true, false].flatMap((hand) => {
      const of = found.filter((s) => s.model === model && s.kind === kind && isByHand(s) === hand);
      return of.length === 0 ? [] : [{ hand, ...of.reduce((best, s) => (s.theirs > best.theirs ? s : best)) }];
    }),
  ),
);

if (values.json) {
  process.stdout.write(`${JSON.stringify({ pairs, fastest })}\n`);
} else {
  const rows = found.map((s) => [
    s.model,
    s.kind,
    s.way,
    s.theirs.toFixed(0),
    s.ours.toFixed(0),
    ratioText(s.ratios),
    s.maxRelError.toExponential(0),
  ]);
  const head = ['model', 'what', 'way', 'theirs/s', 'ours/s', 'ours / theirs, pair by pair', 'their error'];
  process.stdout.write(`${alignColumns([head, ...rows])}\n\n`);
  const lines = fastest.map((s) => [s.model, s.kind, s.hand ? 'by hand' : 'off the shelf', s.way, ratioText(s.ratios)]);
  process.stdout.write(`${alignColumns([['fastest', 'what', 'written', 'way', 'ours / it'], ...lines])}\n`);
}
