// Batches in parts, and parts in sessions side by side, on real sessions: the same numbers to the bit, in order; and a
// process that ends in the middle of a run ends as it was told.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Findings, type Outputs, openProgram, type Runtime } from '../../src/engine/index.ts';
import { partsOf } from '../../src/engine/parts.ts';
import { normGraph } from '../../src/features/index.ts';
import { Arena, type Graph, nameOf } from '../../src/graph/index.ts';
import { choosePart, lower } from '../../src/lower/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { encode } from '../../src/onnx/index.ts';
import { add, groupSum, mul, reduceSum, repeatEach } from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { defaultModel } from '../support/models.ts';

/** y = Σ (x · w)², z = 2 w; every example takes so much memory that few of them are run together. */
function wide(width: number): Graph {
  const arena = new Arena();
  const given = arena.input('x', [1, 4]);
  const x = repeatEach(given, [1, width]);
  const w = arena.param('w', []);
  const scaled = mul(x, w);
  return { arena, outputs: { y: groupSum(reduceSum(mul(scaled, scaled))), z: add(w, w), x: given } };
}

const weights = { w: { shape: [], data: Float32Array.of(2) } };

describe('parts of a run', () => {
  it('hold every example, in whole groups, none more than it may', () => {
    const sizes = fc.record({ groups: fc.integer({ min: 1, max: 99 }), group: fc.integer({ min: 1, max: 7 }) });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 40 }), ({ groups, group }, most) => {
        const examples = groups * group;
        const { size, starts } = partsOf(examples, most * group, group);
        expect(size).toBeLessThanOrEqual(Math.min(examples, most * group));
        expect(starts.length).toBe(Math.ceil(examples / size));
        const seen = new Set(starts.flatMap((start) => Array.from({ length: size }, (_, k) => start + k)));
        expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: examples }, (_, k) => k));
        for (const start of starts) expect(start % group).toBe(0);
      }),
    );
  });

  it('stay near the cores, but for weights that are more than they are', () => {
    const of = (largestStep: number, fixed = 4e6) => ({ perExample: 6 * largestStep, largestStep, fixed });
    const sizes = [1e3, 0.28e6, 0.79e6, 1.65e6, 1e9].map((largestStep) => choosePart(of(largestStep), 1));
    expect(sizes).toEqual([2048, 8, 4, 2, 1]);
    expect(choosePart(of(1.65e6, 100e6), 1)).toBe(16);
    expect(choosePart(of(0.2e6, 0), 5)).toBe(20);
    expect(choosePart(of(0, 0), 1)).toBe(2 ** 21);
  });

  it.each([1, 3])('give what the whole gives, with groups of %d, with and without a lead', async (group) => {
    const n = 15;
    const x = { data: Float32Array.from({ length: 4 * n }, (_, k) => Math.sin(k)), shape: [n, 4] };
    const found: Outputs[] = [];
    const opened: number[] = [];
    for (const width of [8, 300_000]) {
      const node = nodeRuntime({ cache: '', threads: 1 });
      const runtime = {
        ...node,
        open: (...args: Parameters<typeof node.open>) => {
          opened.push(width);
          return node.open(...args);
        },
      };
      const program = openProgram(wide(width), { runtime, weights, batch: n, group });
      found.push(await program.run({ x }));
      await program.dispose();
    }
    const [few, many] = found as [Outputs, Outputs];
    for (const outputs of found) {
      expect(outputs.y!.shape).toEqual([n / group]);
      expect(outputs.z).toEqual({ shape: [], data: Float32Array.of(4) });
      expect(outputs.x).toEqual(x);
    }
    const scale = 300_000 / 8;
    for (const [k, y] of many.y!.data.entries()) expect(y / scale / few.y!.data[k]!).toBeCloseTo(1, 2);
    expect(opened).toEqual([8, 300_000]);
  });
});

/** Runs the norms of 32 images until the way is chosen; how many sessions were opened apart, and what was kept. */
async function settle(known: string | undefined) {
  const model = defaultModel('vae');
  const kept: string[] = [];
  const findings: Findings = { read: async () => known, write: async (_, text) => void kept.push(text) };
  const node = nodeRuntime({ cache: '' });
  let apart = 0;
  const open: Runtime['open'] = (bytes, options) => {
    if (options?.apart) apart++;
    return node.open(bytes, options);
  };
  const runtime: Runtime = { ...node, lanes: 2, findings, open };
  const { graph } = normGraph(model.loss());
  const program = openProgram(graph, { runtime, weights: model.weights, batch: 32, threads: 2, keep: true });
  const numbers = (size: number) => Float32Array.from({ length: size }, (_, k) => Math.sin(k * k));
  const feeds = Object.fromEntries(
    program.inputs.map((v) => {
      const shape = [32, ...(v.shape[0] === 1 ? v.shape.slice(1) : v.shape)];
      return [nameOf(v), { data: numbers(sizeOf(shape)), shape }];
    }),
  );
  const first = await program.run(feeds);
  const until = performance.now() + 40_000;
  while (!program.settled() && performance.now() < until) expect(await program.run(feeds)).toEqual(first);
  expect(program.settled()).toBe(true);
  expect(await program.run(feeds)).toEqual(first);
  await program.dispose();
  return { first, apart, kept };
}

describe('sessions side by side', () => {
  it('are chosen by what they take, give the same to the bit, and are remembered', async () => {
    const measured = await settle(undefined);
    expect(measured.apart).toBe(2);
    expect(measured.kept).toEqual([expect.stringMatching(/^(one|many)$/)]);
    const many = await settle('many');
    expect([many.apart, many.kept]).toEqual([2, []]);
    const one = await settle('one');
    expect([one.apart, one.kept]).toEqual([0, []]);
    expect(many.first).toEqual(measured.first);
    expect(one.first).toEqual(measured.first);
  });

  it('say what is wrong with a run as a session of this thread does', async () => {
    const model = encode(lower(wide(8), { examples: 2, weights }));
    const said = async (apart: boolean) => {
      const session = await nodeRuntime({ cache: '' }).open(model, { apart });
      const feeds = { x: { data: new Float32Array(4), shape: [1, 4] } };
      const error: unknown = await session.run(feeds).catch((e: unknown) => e);
      await session.dispose();
      await expect(session.run(feeds)).rejects.toThrow('the session was disposed of');
      return (error as Error).message;
    };
    expect(await said(true)).toBe(await said(false));
    await expect(nodeRuntime({ cache: '' }).open(new Uint8Array(9), { apart: true })).rejects.toThrow();
  });
});

const child = (how: string) =>
  new Promise<{ readonly code: number | null; readonly err: string }>((resolve) => {
    const path = fileURLToPath(new URL('lanes-child.ts', import.meta.url));
    const started = execFile(process.execPath, ['--import', 'tsx', path, how], (_error, _out, err) =>
      resolve({ code: started.exitCode, err }),
    );
  });

describe('a process that ends while a session in a thread of its own runs', () => {
  it.each([
    ['exit', 3],
    ['throw', 1],
    ['leave', 0],
    ['opening', 3],
  ] as const)('ends as it was told: %s', async (how, code) => {
    const found = await child(how);
    expect(found.err).not.toContain('Napi');
    expect(found.code).toBe(code);
  });
});
