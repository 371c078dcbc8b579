import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'onnxruntime-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Arena, type Value } from '../graph/index.ts';
import { lower } from '../lower/index.ts';
import { encode } from '../onnx/index.ts';
import { add, mul } from '../ops/index.ts';
import { openSession } from './runtime.ts';
import { cacheEntry } from './session-cache.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** y of inputs a and b, each [1, 2]. */
function graph(y: (a: Value, b: Value) => Value, names = ['a', 'b', 'y'], size = 2): Uint8Array {
  const arena = new Arena();
  const [a, b] = [arena.input(names[0]!, [1, size]), arena.input(names[1]!, [1, size])];
  return encode(lower({ arena, outputs: { [names[2]!]: y(a, b) } }, { examples: 1, weights: {} }));
}

const wanted = graph(add);

/** What the session for the wanted graph gives of [1, 2] and [3, 5] where `kept` lies in its place in the cache. */
async function ranBeside(kept: Uint8Array): Promise<number[]> {
  await cacheEntry(dir, wanted, `onnxruntime ${env.versions.node}`).fill(async (path) => {
    await writeFile(path!, kept);
    return true;
  });
  const session = await openSession(wanted, { cache: dir });
  try {
    const feeds = {
      a: { data: Float32Array.of(1, 2), shape: [1, 2] },
      b: { data: Float32Array.of(3, 5), shape: [1, 2] },
    };
    return [...(await session.run(feeds)).y!.data];
  } finally {
    await session.dispose();
  }
}

describe('a session', () => {
  it.each([
    ['other inputs', graph(mul, ['a', 'c', 'y'])],
    ['another output', graph(mul, ['a', 'b', 'z'])],
    ['inputs of another size', graph(mul, ['a', 'b', 'y'], 3)],
    ['fewer inputs', graph((a) => a)],
    ['no graph', Uint8Array.of(1, 2, 3)],
  ])('is not that of a kept graph with %s', async (_, other) => {
    expect(await ranBeside(other)).toEqual([4, 7]);
    expect(await readdir(dir)).toEqual([]); // this one opens too fast to be worth keeping
  });

  it('is that of a kept graph with the same inputs and outputs', async () => {
    expect(await ranBeside(graph(mul))).toEqual([3, 10]);
  });
});
