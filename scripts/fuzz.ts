// npm run fuzz: damaged files of every format in; for each a clean refusal or sound content, or else a finding, out.
//
// The files are read in a process of their own, which may hang, run out of memory or crash: it says which file comes
// next, and is replaced when that is the last thing it said for five seconds.

import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type FormatName, formatNames, makeFile, type Outcome, tryFile } from './fuzz/index.ts';

const SECONDS = 5;
/** To load everything and make the samples, on a machine that has other work. */
const START_SECONDS = 300;
const MEMORY = 2 ** 30;

interface Job {
  readonly format: FormatName;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
}

/** From the child: it is about to try file `next`; what came of the one before, and its share of the memory. */
interface Report {
  readonly next: number;
  readonly outcome?: Outcome;
}

interface Tally {
  read: number;
  refused: number;
  findings: number;
}

const { values } = parseArgs({
  options: {
    format: { type: 'string', multiple: true },
    count: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    child: { type: 'string' },
  },
});

if (values.child !== undefined) await child(JSON.parse(values.child) as Job);
else process.exitCode = await main();

async function main(): Promise<number> {
  const [count, seed] = [Number(values.count), Number(values.seed)];
  const asked = (values.format ?? formatNames).flatMap((list) => list.split(',')) as FormatName[];
  const unknown = asked.find((format) => !formatNames.includes(format));
  if (unknown !== undefined) throw new Error(`no format '${unknown}', expected ${formatNames.join(', ')}`);
  let findings = 0;
  for (const format of asked) {
    const tally = { read: 0, refused: 0, findings: 0 };
    const started = performance.now();
    const only = values.only === undefined ? undefined : Number(values.only);
    await run({ format, seed, from: only ?? 0, to: only === undefined ? count : only + 1 }, tally);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    const sum = `${tally.read} read, ${tally.refused} refused, ${tally.findings} findings`;
    process.stderr.write(`\r${format}: ${sum} in ${seconds} s\x1b[K\n`);
    findings += tally.findings;
    if (only !== undefined) {
      const path = join(tmpdir(), `fuzz-${format}-${seed}-${only}`);
      writeFileSync(path, (await makeFile(format, seed, only)).bytes);
      console.log(`the file is ${path}`);
    }
  }
  return findings > 0 ? 1 : 0;
}

/** All files of a job, with as many children as it takes. */
async function run(job: Job, tally: Tally): Promise<void> {
  for (let from = job.from; from < job.to; ) from = await runChild({ ...job, from }, tally);
}

/** Runs a child until it is done or gone. Resolves to the file to go on with. */
function runChild(job: Job, tally: Tally): Promise<number> {
  return new Promise((resolve, reject) => {
    const args = ['--child', JSON.stringify(job)];
    // Memory beyond this would be a finding as well; the limit on JavaScript's own makes it one soon.
    const execArgv = [...process.execArgv, `--max-old-space-size=${MEMORY / 2 ** 20 - 256}`];
    const process_: ChildProcess = fork(fileURLToPath(import.meta.url), args, { execArgv });
    let current = -1;
    let why: string | undefined;
    let timer = setTimeout(stop, START_SECONDS * 1000, 'did not start');
    function stop(reason: string): void {
      why = reason;
      process_.kill('SIGKILL');
    }
    process_.on('message', (message) => {
      const { next, outcome } = message as Report;
      if (outcome) count(job, next - 1, outcome, tally);
      current = next;
      clearTimeout(timer);
      timer = setTimeout(stop, (SECONDS + 1) * 1000, `no answer after ${SECONDS} s`);
      if (next % 100 === 0)
        process.stderr.write(`\r${job.format}: ${next} of ${job.to}, ${tally.findings} findings\x1b[K`);
    });
    process_.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (current < 0) {
        const reason = why ?? `the process ended with ${signal ?? `code ${code}`}`;
        return reject(new Error(`${job.format}: the samples cannot be made or read: ${reason}`));
      }
      if (code === 0) return resolve(current);
      count(
        job,
        current,
        { kind: 'finding', text: why ?? `the process ended with ${signal ?? `code ${code}`}` },
        tally,
      );
      resolve(current + 1);
    });
  });
}

function count(job: Job, k: number, outcome: Outcome, tally: Tally): void {
  if (outcome.kind !== 'finding') {
    tally[outcome.kind]++;
    if (values.only !== undefined) console.log(`${outcome.kind}: ${outcome.text}`);
    return;
  }
  tally.findings++;
  const frame =
    outcome.stack
      ?.split('\n')
      .find((line) => line.includes('/src/'))
      ?.trim() ?? '';
  console.log(`${job.format} --seed ${job.seed} --only ${k}: ${outcome.text}${frame && ` (${frame})`}`);
  if (values.only !== undefined) console.log(outcome.stack?.slice(-3000) ?? '');
}

async function child({ format, seed, from, to }: Job): Promise<void> {
  const send = (report: Report) => new Promise((resolve) => process.send!(report, resolve));
  await makeFile(format, seed, from); // the samples are made outside the time of a file
  await send({ next: from });
  for (let k = from; k < to; k++) {
    let outcome = await tryFile(format, seed, k);
    const peak = process.resourceUsage().maxRSS * 1024;
    if (peak > MEMORY) outcome = { kind: 'finding', text: `took ${Math.round(peak / 2 ** 20)} MB of memory` };
    await send({ next: k + 1, outcome });
    if (peak > MEMORY) break; // the peak of a process does not go down
  }
  process.disconnect();
}
