// A model and what `train.py --check DIR` has written for it in; how far its losses are from ours out.
//
//     npx tsx scripts/gpu/compare.ts MODEL DIR/NAME.npz

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readNpz } from '../../src/data/npy.ts';
import { runOnce } from '../../src/engine/index.ts';
import { UsageError } from '../../src/errors.ts';
import { Arena, inputsOf, nameOf } from '../../src/graph/index.ts';
import { architecture, paramScope } from '../../src/models/index.ts';
import { readInfo } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { readSafetensors } from '../../src/store/index.ts';
import { runMain } from '../main.ts';

async function main(): Promise<void> {
  const [dir, answers, ...more] = process.argv.slice(2);
  if (dir === undefined || answers === undefined || more.length > 0) throw new UsageError(USAGE);
  const { arch: name, config, data } = await readInfo(dir);
  const path = join(dir, 'weights.safetensors');
  const weights = readSafetensors(new Uint8Array(await readFile(path)), path);
  const arrays = readNpz(new Uint8Array(await readFile(answers)), answers);
  const arch = architecture(name);
  const arena = new Arena();
  const { nll } = arch.loss(arch.configure(config, data), data, paramScope(arena));
  const graph = { arena, outputs: { nll } };
  const right = arrays.nll!.data as Float64Array;
  const feeds = Object.fromEntries(
    inputsOf(graph).map((input) => {
      const { data: numbers, shape } = arrays[nameOf(input)]!;
      return [nameOf(input), { data: Float32Array.from(numbers as ArrayLike<number>), shape }];
    }),
  );
  const found = await runOnce(
    graph,
    { runtime: nodeRuntime({ cache: '' }), weights, batch: right.length },
    () => feeds,
  );
  const off = Array.from(found.nll!.data, (loss, i) => Math.abs(loss - right[i]!) / Math.abs(right[i]!));
  console.log(`${dir}: losses of ${off.length} images, off by ${Math.max(...off).toExponential(1)} at most`);
}

const USAGE = 'usage: npx tsx scripts/gpu/compare.ts MODEL DIR/NAME.npz';

await runMain(main, USAGE);
