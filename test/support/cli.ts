// Runs the command line from source, as a process of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = new URL('../../src/cli/main.ts', import.meta.url).href;
const root = fileURLToPath(new URL('../..', import.meta.url));
const script = `import(${JSON.stringify(main)}).then((m) => m.main(process.argv.slice(1)))`;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a command; `done` resolves when the process ends, however it does. */
export function startCli(args: readonly string[]): { readonly child: ChildProcess; readonly done: Promise<Finished> } {
  const child = spawn(process.execPath, ['--import', 'tsx', '-e', script, '--', ...args], { cwd: root });
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk) => (stdout += chunk));
  child.stderr!.on('data', (chunk) => (stderr += chunk));
  const done = new Promise<Finished>((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  return { child, done };
}

export function runCli(...args: readonly string[]): Promise<Finished> {
  return startCli(args).done;
}

/** Calls `use` with a folder that is gone afterwards. */
export async function inTemporaryFolder<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'fisher-ood-'));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Kills the command with SIGKILL as soon as `ready` says so; true if it was still running then. */
export async function killWhen(args: readonly string[], ready: () => boolean): Promise<boolean> {
  const { child, done } = startCli(args);
  let ended = false;
  void done.then(() => (ended = true));
  while (!ended && !ready()) await new Promise((resolve) => setTimeout(resolve, 5));
  if (ended) return false;
  child.kill('SIGKILL');
  const { code } = await done;
  return code === null;
}
