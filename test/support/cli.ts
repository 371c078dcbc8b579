// Runs the command line from source: in this process, or in one of its own that can be killed.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import { run } from '../../src/cli/main.ts';

const entry = fileURLToPath(new URL('entry.ts', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts a command; `done` resolves when the process ends, however it does. */
export function startCli(args: readonly string[]): { readonly child: ChildProcess; readonly done: Promise<Finished> } {
  const child = spawn(process.execPath, ['--import', 'tsx', entry, ...args], { cwd: root });
  let stdout = '';
  let stderr = '';
  child.stdout!.on('data', (chunk) => (stdout += chunk));
  child.stderr!.on('data', (chunk) => (stderr += chunk));
  const done = new Promise<Finished>((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
  return { child, done };
}

/** As `runCli`, of what has to end well. */
export async function runOk(...args: readonly string[]): Promise<Finished> {
  const done = await runCli(...args);
  expect(done.code, done.stderr).toBe(0);
  return done;
}

/** Runs a command within this process: the same code, without the second it takes to load. */
export async function runCli(...args: readonly string[]): Promise<Finished> {
  const written: { stdout: string[]; stderr: string[] } = { stdout: [], stderr: [] };
  const capture = (stream: 'stdout' | 'stderr') =>
    vi.spyOn(process[stream], 'write').mockImplementation((chunk) => written[stream].push(String(chunk)) > 0);
  const spies = [capture('stdout'), capture('stderr')];
  try {
    const code = await run(args);
    return { code, stdout: written.stdout.join(''), stderr: written.stderr.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** A folder for the tests of one file. */
export function temporaryFolder(): { readonly path: string; remove(): Promise<void> } {
  const path = mkdtempSync(join(tmpdir(), 'fisher-ood-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Calls `use` with a folder that is gone afterwards. */
export async function inTemporaryFolder<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const folder = temporaryFolder();
  try {
    return await use(folder.path);
  } finally {
    await folder.remove();
  }
}

/** Kills the command with SIGKILL as soon as `ready` says so. Throws if it had ended by then. */
export async function killWhen(args: readonly string[], ready: () => boolean): Promise<void> {
  const { child, done } = startCli(args);
  let ended = false;
  void done.then(() => (ended = true));
  while (!ended && !ready()) await new Promise((resolve) => setTimeout(resolve, 5));
  if (ended) throw new Error(`the command ended before it could be killed: ${JSON.stringify(await done)}`);
  child.kill('SIGKILL');
  const { code } = await done;
  if (code !== null) throw new Error(`the command ended with ${code} before it was killed`);
}
