// npm run kill-runs: commands killed at random points, and pairs of them started together; whether what they end with
// is, byte for byte, what a run that nobody disturbed ends with. Runs what `npm run build` has made.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeNpy } from '../src/data/npy.ts';
import { RandomStream } from '../src/tensor/random.ts';

const bin = fileURLToPath(new URL('../bin/fisher-ood.js', import.meta.url));

export interface Task {
  readonly name: string;
  /** What it writes, within a folder of its own; with these arguments. */
  args(dir: string): readonly string[];
}

export interface KillTally {
  /** Runs that were under way when they were killed, and runs that came to their end. */
  kills: number;
  readonly ends: number;
  /** Files that differed, as 'task: file'. */
  readonly findings: readonly string[];
}

export interface PairTally {
  /** Pairs of which one was refused, as it should be. */
  readonly refused: number;
  readonly findings: readonly string[];
}

interface Ended {
  readonly code: number | null;
  readonly seconds: number;
  readonly stderr: string;
}

/** The tasks, whose model and data are made in `home`. */
export async function makeTasks(home: string): Promise<readonly Task[]> {
  const pixels = new Float32Array(600 * 64);
  new RandomStream(5, 'pixels').uniform(0, pixels);
  const data = join(home, 'x.npy');
  writeFileSync(
    data,
    writeNpy({ dtype: 'uint8', shape: [600, 1, 8, 8], data: Uint8Array.from(pixels, (v) => v * 256) }),
  );
  const model = join(home, 'model');
  const train = (out: string, steps: number) => [
    ...['train', 'glow', '--data', data, '--config', '{"levels": 1, "steps": 1, "hidden": 4}', '--ema', '0.9'],
    ...['--batch', '4', '--steps', String(steps), '--checkpoint-every', '3', '--threads', '1', '--out', out],
  ];
  const made = await start(train(model, 6)).ended;
  if (made.code !== 0) throw new Error(`no model to work with: ${made.stderr}`);
  const scored = [model, '--data', data, '--threads', '1'];
  return [
    { name: 'features', args: (dir) => ['features', ...scored, '--batch', '1', '--out', join(dir, 'x.parquet')] },
    { name: 'train', args: (dir) => train(join(dir, 'm'), 300) },
    { name: 'fit', args: (dir) => ['fit', ...scored, '--out', join(dir, 'd.json')] },
    { name: 'reproduce', args: (dir) => ['reproduce', 'smoke', '--threads', '1', '--out', join(dir, 'r')] },
  ];
}

/**
 * Starts the command again and again, killing it after a random time, until so many were killed and the last came to
 * its end.
 */
export async function killRuns(task: Task, kills: number, home: string, draw: () => number): Promise<KillTally> {
  const whole = await undisturbed(task, home);
  const tally = { kills: 0, ends: 0, findings: [] as string[] };
  while (tally.kills < kills || tally.ends === 0) {
    const dir = mkdtempSync(join(home, `${task.name}-`));
    for (;;) {
      // Longer than the whole run now and then; a run of many parts needs time for one of them.
      const patience =
        tally.kills >= kills ? Infinity : draw() * Math.min(1.2 * whole.seconds, 4 + 0.2 * whole.seconds);
      const { child, ended } = start(task.args(dir));
      const timer = patience === Infinity ? undefined : setTimeout(() => child.kill('SIGKILL'), patience * 1000);
      const { code, stderr } = await ended;
      clearTimeout(timer);
      if (code === null) {
        tally.kills++;
        continue;
      }
      tally.ends++;
      // Killed between its last write and its exit: what it made is there, and the next call says so.
      const finished = /: training is finished\s*$/.test(stderr);
      if (code !== 0 && !finished) tally.findings.push(`${task.name}: ended with ${code}: ${stderr}`);
      else tally.findings.push(...differences(whole.files, dir).map((file) => `${task.name}: ${file}`));
      break;
    }
    if (tally.findings.length === 0) rmSync(dir, { recursive: true });
    say(`${task.name}: ${tally.kills} killed, ${tally.ends} ended, ${tally.findings.length} differences`);
  }
  return tally;
}

/** Starts two of the command, with a random time between them that is shorter than the run. */
export async function pairRuns(task: Task, pairs: number, home: string, draw: () => number): Promise<PairTally> {
  const whole = await undisturbed(task, home);
  const tally = { refused: 0, findings: [] as string[] };
  for (let pair = 0; pair < pairs; pair++) {
    const dir = mkdtempSync(join(home, `${task.name}-pair-`));
    const one = start(task.args(dir));
    await new Promise((resolve) => setTimeout(resolve, draw() * Math.min(500, whole.seconds * 100)));
    const both = await Promise.all([one.ended, start(task.args(dir)).ended]);
    const refused = both.filter(
      ({ code, stderr }) => code === 1 && /process \d+ on .* has been writing to it since/.test(stderr),
    );
    if (refused.length === 1 && both.some(({ code }) => code === 0)) tally.refused++;
    else tally.findings.push(`${task.name}: ${JSON.stringify(both)}`);
    tally.findings.push(...differences(whole.files, dir).map((file) => `${task.name}: ${file}`));
    if (tally.findings.length === 0) rmSync(dir, { recursive: true });
    say(`${task.name}: ${pair + 1} pairs, ${tally.refused} with one refused, ${tally.findings.length} findings`);
  }
  return tally;
}

interface Whole {
  readonly seconds: number;
  readonly files: ReadonlyMap<string, Buffer>;
}

const wholes = new Map<string, Promise<Whole>>();

/** What the command makes where nobody disturbs it; once for each. */
function undisturbed(task: Task, home: string): Promise<Whole> {
  const key = join(home, task.name);
  if (!wholes.has(key)) wholes.set(key, makeWhole(task, home));
  return wholes.get(key)!;
}

async function makeWhole(task: Task, home: string): Promise<Whole> {
  const dir = mkdtempSync(join(home, `${task.name}-whole-`));
  const { code, seconds, stderr } = await start(task.args(dir)).ended;
  if (code !== 0) throw new Error(`${task.name} ended with ${code}: ${stderr}`);
  return { seconds, files: filesOf(dir) };
}

/** A detector says where its model is, as seen from its own folder: all folders lie beside one another. */
function filesOf(dir: string): ReadonlyMap<string, Buffer> {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).sort();
  return new Map(
    names.filter((name) => statSync(join(dir, name)).isFile()).map((name) => [name, readFileSync(join(dir, name))]),
  );
}

/** Files that only one has, or whose bytes differ. */
function differences(whole: ReadonlyMap<string, Buffer>, dir: string): string[] {
  const files = filesOf(dir);
  const names = [...new Set([...whole.keys(), ...files.keys()])];
  return names.flatMap((name) => {
    const [a, b] = [whole.get(name), files.get(name)];
    return a && b && a.equals(b)
      ? []
      : [join(dir, a ? (b ? `${name} differs` : `${name} is missing`) : `${name} is left`)];
  });
}

function start(args: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const began = performance.now();
  const child = spawn(process.execPath, [bin, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr!.on('data', (chunk) => (stderr += chunk));
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (code) => resolve({ code, seconds: (performance.now() - began) / 1000, stderr })),
  );
  return { child, ended };
}

const say = (text: string) => process.stderr.write(`${text}\n`);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      kills: { type: 'string', default: '100' },
      pairs: { type: 'string', default: '5' },
      task: { type: 'string', multiple: true },
      seed: { type: 'string', default: '1' },
    },
  });
  const home = mkdtempSync(join(tmpdir(), 'kill-runs-'));
  const stream = new RandomStream(Number(values.seed), 'kills');
  let drawn = 0;
  const draw = () => {
    const out = new Float32Array(1);
    stream.uniform(drawn++, out);
    return out[0]!;
  };
  const tasks = (await makeTasks(home)).filter(({ name }) => values.task?.includes(name) ?? true);
  let findings = 0;
  for (const task of tasks) {
    const pairs = await pairRuns(task, Number(values.pairs), home, draw);
    const killed = await killRuns(task, Number(values.kills), home, draw);
    for (const finding of [...pairs.findings, ...killed.findings]) say(`finding: ${finding}`);
    findings += pairs.findings.length + killed.findings.length;
    process.stdout.write(
      `${task.name}: ${values.pairs} pairs, ${pairs.refused} with one refused; ${killed.kills} kills, ${killed.ends} ends; ` +
        `${pairs.findings.length + killed.findings.length} findings\n`,
    );
  }
  if (findings === 0) rmSync(home, { recursive: true });
  else say(`what they left is in ${home}`);
  return findings === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main();
