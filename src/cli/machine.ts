// What a command's model runs on, and how much of it.

import { defined } from '../defined.ts';
import type { Runtime } from '../engine/index.ts';
import { nodeRuntime } from '../node/runtime.ts';
import type { RunOptions } from './options.ts';

/** The processor or the graphics card. */
export const runtimeOf = ({ provider }: RunOptions): Runtime => nodeRuntime({ provider });

/** What of the options an extractor takes, besides its group and seed. */
export function extractorOptions(options: RunOptions) {
  const { batch, memory, threads } = options;
  return { runtime: runtimeOf(options), ...defined({ batch, memory, threads }) };
}
