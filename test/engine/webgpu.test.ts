// The graphics card, where there is one, and what is said where there is none.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { nodeRuntime, type Provider } from '../../src/node/runtime.ts';
import { tolerance } from '../support/tolerances.ts';

const child = fileURLToPath(new URL('webgpu-child.ts', import.meta.url));

interface Found {
  readonly error?: string;
  readonly webgpu: readonly number[];
  readonly cpu: readonly number[];
}

async function found(env: Record<string, string> = {}): Promise<Found> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child], {
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout) as Found;
}

it('gives the norms that the processor gives', async ({ skip }) => {
  const { error, webgpu, cpu } = await found();
  skip(error !== undefined, error);
  const off = cpu.map((right, k) => Math.abs(webgpu[k]! - right) / right);
  expect(Math.max(...off)).toBeLessThan(tolerance.sqNormWorst);
}, 180_000);

it.skipIf(process.platform !== 'linux')('is missed in so many words', async () => {
  const { error } = await found({ VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' });
  expect(error).toMatch(/^the graphics card cannot be used by WebGPU \(provider: 'webgpu'\): .*vulkaninfo/);
});

it('is one of two providers', () => {
  expect(() => nodeRuntime({ provider: 'cuda' as Provider })).toThrow(
    "`provider: 'cuda'`: there are 'cpu' and 'webgpu'",
  );
});
