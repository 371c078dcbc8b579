import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'onnxruntime-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultModel } from '../../test/support/models.ts';
import { normGraph } from '../features/index.ts';
import { Arena, type Value } from '../graph/index.ts';
import { countMultiplications, lower } from '../lower/index.ts';
import { encode } from '../onnx/index.ts';
import { add, mul } from '../ops/index.ts';
import { nodeRuntime, openSession, threadsFor } from './runtime.ts';
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

describe('threads', () => {
  it('leave the cores to others once a run has ended', async () => {
    const size = 2 ** 20;
    const session = await openSession(graph(add, ['a', 'b', 'y'], size), { threads: 2 });
    const feeds = {
      a: { data: new Float32Array(size), shape: [1, size] },
      b: { data: new Float32Array(size), shape: [1, size] },
    };
    const idle: number[] = [];
    for (let k = 0; k < 5; k++) {
      await session.run(feeds);
      const before = process.cpuUsage();
      await new Promise((done) => setTimeout(done, 100));
      const { user, system } = process.cpuUsage(before);
      idle.push((user + system) / 1000);
    }
    await session.dispose();
    expect(Math.min(...idle)).toBeLessThan(10); // ms; the runtime's own threads spin for some 30
  });

  it('are one where steps are small, all that there are where they are not or nobody knows', () => {
    const of = (steps: number, multiplications: number) => threadsFor({ steps, multiplications, bytes: 0 }, 8);
    expect([of(1000, 1.3e8), of(1000, 1.4e8), threadsFor(undefined, 8)]).toEqual([1, 8, 8]);
  });

  it('are one for an image and a small model, two cores for one and a large one', () => {
    const of = (name: 'glow' | 'vae' | 'ddpm') => {
      const model = defaultModel(name);
      const { graph } = normGraph(model.loss());
      const steps = lower(graph, { examples: 1, weights: model.weights }).nodes.length;
      return threadsFor({ steps, multiplications: countMultiplications(graph), bytes: 0 }, 2);
    };
    expect([of('glow'), of('vae'), of('ddpm')]).toEqual([1, 1, 2]);
  });

  it.skipIf(process.platform !== 'linux')('are as many as was asked for, however small the steps', async () => {
    const count = async () => Number(/^Threads:\s*(\d+)/mu.exec(await readFile('/proc/self/status', 'utf8'))![1]);
    const runtime = nodeRuntime({ cache: '' });
    const work = { steps: 1, multiplications: 0, bytes: 0 };
    await (await runtime.open(wanted, { work })).dispose(); // what is loaded first starts threads of its own
    const before = await count();
    const [one, two] = [await runtime.open(wanted, { work }), await runtime.open(wanted, { work, threads: 2 })];
    expect((await count()) - before).toBe(1);
    await Promise.all([one.dispose(), two.dispose()]);
  });
});
