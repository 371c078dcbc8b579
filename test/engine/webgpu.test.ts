// The graphics card, where there is one, and what is said where there is none.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { nodeRuntime, type Provider } from '../../src/node/runtime.ts';
import { tolerance } from '../support/tolerances.ts';

const child = fileURLToPath(new URL('webgpu-child.ts', import.meta.url));

interface Found {
  readonly error?: string;
  readonly found: readonly { readonly name: string; readonly webgpu: number[]; readonly cpu: number[] }[];
}

async function found(env: Record<string, string> = {}): Promise<Found> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', child], {
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout) as Found;
}

/** A card in software, which comes with Debian's chromium, and the loader beside it. */
const rasteriser = '/usr/lib/chromium';

/** On the card, else in software. */
async function onAnyCard(): Promise<Found> {
  const first = await found();
  const driver = join(rasteriser, 'vk_swiftshader_icd.json');
  if (first.error === undefined || !existsSync(driver)) return first;
  return found({ VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: rasteriser });
}

it('gives the norms that the processor gives', async ({ skip }) => {
  const { error, found: models } = await onAnyCard();
  skip(error !== undefined, error);
  expect(models.map(({ name }) => name)).toEqual(['vae', 'angles', 'volumes']);
  for (const { name, webgpu, cpu } of models) {
    const off = cpu.map((right, k) => Math.abs(webgpu[k]! - right) / right);
    expect(Math.max(...off), name).toBeLessThan(tolerance.sqNormWorst / 10);
  }
}, 180_000);

it.skipIf(process.platform !== 'linux')('is missed in so many words', async () => {
  const { error } = await found({ VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' });
  expect(error).toMatch(/^the graphics card cannot be used by WebGPU: .*vulkaninfo/);
});

it('is one of two providers', () => {
  expect(() => nodeRuntime({ provider: 'cuda' as Provider })).toThrow(
    "`provider: 'cuda'`: there are 'cpu' and 'webgpu'",
  );
});
