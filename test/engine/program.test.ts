// A program in its sizes of batch and shapes, on real sessions: the same numbers in all of them, and no more of them
// open than are asked for.

import { afterEach, describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/index.ts';
import { inRuns, openProgram, openPrograms, type Program, type Runtime, runOnce } from '../../src/engine/index.ts';
import { Arena, type Graph } from '../../src/graph/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { groupSum, mul, reduceSum } from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';

/** The runtime of Node, which says of how many sessions were opened, and how many of these are open. */
function counting(): { readonly runtime: Runtime; readonly opened: () => number; readonly open: () => number } {
  const node = nodeRuntime({ cache: '' });
  let [opened, closed] = [0, 0];
  const runtime: Runtime = {
    ...node,
    open: async (...args) => {
      const session = await node.open(...args);
      opened++;
      return {
        run: session.run,
        dispose: async () => {
          closed++;
          await session.dispose();
        },
      };
    },
  };
  return { runtime, opened: () => opened, open: () => opened - closed };
}

/** y = w Σ x, for x of this shape; in groups. */
function graphFor(shape: readonly number[] = [3]): Graph {
  const arena = new Arena();
  const y = mul(reduceSum(arena.input('x', [1, ...shape])), arena.param('w', []));
  return { arena, outputs: { y: groupSum(y) } };
}

const weights = { w: { shape: [], data: Float32Array.of(2) } };

const sevens = (n: number, shape: readonly number[] = [3]) =>
  memoryDataset('sevens', n, 'none', {
    x: { data: Float32Array.from({ length: n * sizeOf(shape) }, (_, k) => Math.floor(k / sizeOf(shape))), shape },
  });

async function all(program: Omit<Program, 'dispose'>, n: number, size: number, shape?: readonly number[]) {
  const out: number[] = [];
  for await (const { batch, count, indices } of inRuns(sevens(n, shape), size)) {
    const outputs = await program.run(program.feeds(batch, indices, 0), size);
    out.push(...outputs.y!.data.subarray(0, count));
  }
  return out;
}

const open: { dispose(): Promise<void> }[] = [];
const kept = <T extends { dispose(): Promise<void> }>(x: T): T => {
  open.push(x);
  return x;
};
afterEach(async () => {
  for (const x of open.splice(0)) await x.dispose();
});

describe('a program', () => {
  it('gives the same for every size of batch, the last one filled up', async () => {
    const { runtime, opened } = counting();
    const program = kept(openProgram(graphFor(), { runtime, weights }));
    expect(program.batch).toBe(64);
    const expected = [0, 6, 12, 18, 24, 30, 36];
    for (const size of [1, 2, 4, 7, 64]) expect(await all(program, 7, size)).toEqual(expected);
    expect(opened()).toBe(5);
    for (const size of [64, 1]) expect(await all(program, 7, size)).toEqual(expected);
    expect(opened()).toBe(5);
  });

  it('runs as few examples as hold a set, in powers of two of whole groups', () => {
    const { runtime } = counting();
    const sizes = (options: { group?: number; batch?: number }, ...of: number[]) => {
      const program = kept(openProgram(graphFor(), { runtime, weights, ...options }));
      return of.map((n) => program.sizeFor(n));
    };
    expect(sizes({}, 0, 1, 2, 3, 33, 64, 1e9)).toEqual([1, 1, 2, 4, 64, 64, 64]);
    expect(sizes({ group: 5 }, 1, 5, 9, 10, 11, 19, 1e9)).toEqual([5, 5, 5, 10, 10, 20, 60]);
    expect(sizes({ batch: 7 }, 1, 5, 100)).toEqual([1, 7, 7]);
  });

  it('opens nothing before it is needed, and closes what it has opened', async () => {
    const { runtime, opened, open } = counting();
    const program = openProgram(graphFor(), { runtime, weights });
    expect(opened()).toBe(0);
    await program.open(1);
    await program.open(1);
    expect([opened(), open()]).toEqual([1, 1]);
    await program.dispose();
    expect(open()).toBe(0);
    await expect(program.open(1)).rejects.toThrow('the session was disposed of, open another one');
  });

  it('keeps as many sessions as it is told, those used last', async () => {
    const { runtime, opened, open } = counting();
    const program = kept(openProgram(graphFor(), { runtime, weights, sessions: 2 }));
    for (const size of [1, 2, 1, 4]) await program.open(size);
    expect([opened(), open()]).toEqual([3, 2]);
    await program.open(1); // used after 2, so it is there
    expect(opened()).toBe(3);
    await program.open(2);
    expect([opened(), open()]).toEqual([4, 2]);
  });

  it('closes no session that is in use', async () => {
    const { runtime } = counting();
    const program = kept(openProgram(graphFor(), { runtime, weights, sessions: 1 }));
    const found = await Promise.all([1, 2, 4, 1, 2].map((size) => all(program, 3, size)));
    expect(found).toEqual(Array.from({ length: 5 }, () => [0, 6, 12]));
  });

  it('tries again where a session could not be opened', async () => {
    const { runtime } = counting();
    let fail = true;
    const moody: Runtime = {
      ...runtime,
      open: (...args) => (fail ? Promise.reject(new Error('not now')) : runtime.open(...args)),
    };
    const program = kept(openProgram(graphFor(), { runtime: moody, weights }));
    await expect(program.open(1)).rejects.toThrow('not now');
    fail = false;
    expect(await all(program, 2, 1)).toEqual([0, 6]);
  });

  it('is refused where a batch does not fit into the memory there is', () => {
    const runtime = { ...counting().runtime, memory: 10 };
    expect(() => openProgram(graphFor(), { runtime, weights, batch: 3 })).toThrow(
      /^a batch of 3 examples: takes about/,
    );
  });

  it('runs a batch in one piece on a device that has no caches near cores', async () => {
    const examples = async (more: Partial<Runtime>) => {
      const sizes: number[] = [];
      const { runtime } = counting();
      const watched: Runtime = {
        ...runtime,
        ...more,
        lanes: undefined,
        open: async (...args) => {
          const session = await runtime.open(...args);
          const run: typeof session.run = (feeds) => {
            sizes.push(feeds.x!.shape[0]!);
            return session.run(feeds);
          };
          return { ...session, run };
        },
      };
      const wide = [2 ** 18];
      const program = kept(openProgram(graphFor(wide), { runtime: watched, weights, batch: 8 }));
      expect(await all(program, 8, 8, wide)).toEqual(Array.from({ length: 8 }, (_, k) => 2 * k * 2 ** 18));
      return sizes;
    };
    expect((await examples({})).length).toBeGreaterThan(1);
    expect(await examples({ undivided: true })).toEqual([8]);
  });

  it('runs once', async () => {
    const { runtime, open } = counting();
    const { arrays } = await sevens(2).gather([0, 1]);
    const outputs = await runOnce(graphFor(), { runtime, weights, batch: 2, group: 2 }, () => arrays);
    expect([[...outputs.y!.data], open()]).toEqual([[6], 0]);
  });
});

describe('programs', () => {
  it('are compiled for every shape once, and share the bound of open sessions', async () => {
    const { runtime, open } = counting();
    const compiled: string[] = [];
    const programs = kept(
      openPrograms(
        ({ x }) => {
          compiled.push(x!.join());
          return { graph: graphFor(x!), elements: sizeOf(x!) };
        },
        { runtime, weights, sessions: 2 },
      ),
    );
    for (const shape of [[3], [5], [2, 2], [5], [3]]) {
      const program = programs.at({ x: shape });
      expect(program.compiled.elements).toBe(sizeOf(shape));
      expect(await all(program, 3, 2, shape)).toEqual([0, 2 * sizeOf(shape), 4 * sizeOf(shape)]);
    }
    expect(compiled).toEqual(['3', '5', '2,2']);
    expect(open()).toBe(2);
  });
});
