// Losses made from networks that stop short of one: against the same computed by hand, and their norms against finite
// differences.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/dataset.ts';
import { feedsFor } from '../../src/engine/feeds.ts';
import { ModelError, UsageError } from '../../src/errors.ts';
import { inputsOf, nameOf } from '../../src/graph/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { alphaBars } from '../../src/objectives/index.ts';
import { encode, type OnnxModel } from '../../src/onnx/index.ts';
import { type OnnxOptions, onnxModel, parseObjective, type ScoringModel } from '../../src/store/index.ts';
import { inTemporaryFolder } from '../support/cli.ts';
import { expectClose, expectSqNorms } from '../support/compare.ts';
import { network, node } from '../support/onnx.ts';
import * as proto from '../support/proto.ts';
import { finiteDifferences, randomData } from '../support/run.ts';

const n = 3;

async function load(model: OnnxModel, options: OnnxOptions): Promise<ScoringModel> {
  return inTemporaryFolder(async (dir) => {
    await writeFile(join(dir, 'm.onnx'), encode(model));
    return loadOnnx(join(dir, 'm.onnx'), options);
  });
}

/** nll by hand for each example, norms by finite differences for the first. */
async function check(
  model: ScoringModel,
  arrays: Parameters<typeof memoryDataset>[3],
  byHand: (feeds: Record<string, Float64Array>) => number,
): Promise<void> {
  const data = memoryDataset('d', n, 'f', arrays);
  const extractor = await openExtractor(model, { seed: 5, noise: 'index', batch: 2, threads: 1 });
  const table = await extractor.table(data);
  await extractor.dispose();
  const loss = model.loss();
  const inputs = inputsOf({ arena: loss.arena, outputs: { loss } });
  const weights = Object.fromEntries(
    Object.entries(model.weights).map(([name, w]) => [name, Float64Array.from(w.data)]),
  );
  const expected: number[] = [];
  for (let i = 0; i < n; i++) {
    const feeds = feedsFor(inputs, await data.gather([i]), [i], 5);
    const numbers = Object.fromEntries(
      Object.entries(feeds).map(([name, t]) => [name, Float64Array.from(t.data as ArrayLike<number>, Number)]),
    );
    expected.push(byHand({ ...weights, ...numbers }));
    if (i > 0) continue;
    const squares = table.names.map((p) =>
      finiteDifferences(loss, { ...weights, ...numbers }, p).reduce((sum, d) => sum + d * d, 0),
    );
    expectSqNorms(table.sqNorms.subarray(0, table.names.length), squares, table.names);
  }
  expectClose(table.nll, expected, 1e-5, 'nll');
  expect(inputs.map(nameOf).length).toBeGreaterThan(0);
}

/** x [i] times w [i, o]. */
const times = (x: ArrayLike<number>, w: ArrayLike<number>, o: number): number[] =>
  Array.from({ length: o }, (_, j) => Array.from(x).reduce((sum, v, i) => sum + v * w[i * o + j]!, 0));

const floats = (name: string, ...shape: number[]) => ({
  data: randomData(name, n * shape.reduce((a, b) => a * b, 1)),
  shape,
});

describe('flow', () => {
  it('is −log N(z; 0, I) − log |det|', async () => {
    const nodes = [
      node('MatMul', ['x', 'w'], 'z'),
      node('Mul', ['z', 'scale'], 'latent'),
      node('ReduceSum', ['scale'], 'logdet', { keepdims: 1 }),
    ];
    const net = network({ x: [4] }, { w: [4, 4], scale: [4] }, nodes, ['latent', 'logdet']);
    const model = await load(net, { objective: parseObjective('flow') });
    await check(model, { x: floats('x', 4) }, ({ x, w, scale }) => {
      const z = times(x!, w!, 4).map((v, i) => v * scale![i]!);
      const logDet = scale!.reduce((a, b) => a + b, 0);
      return z.reduce((sum, v) => sum + (v * v) / 2, 0) + 2 * Math.log(2 * Math.PI) - logDet;
    });
  });
});

describe.each(['gaussian', 'bernoulli'] as const)('elbo with a %s likelihood', (likelihood) => {
  it('is the reconstruction error and the divergence from the prior', async () => {
    const nodes = [
      node('MatMul', ['x', 'm'], 'mean'),
      node('MatMul', ['x', 'v'], 'logvar'),
      node('Exp', ['logvar'], 'variance'),
      node('Sqrt', ['variance'], 'std'),
      node('Mul', ['std', 'eps'], 'shift'),
      node('Add', ['mean', 'shift'], 'z'),
      node('MatMul', ['z', 'd'], 'r'),
    ];
    const net = network({ x: [4], eps: [2] }, { m: [4, 2], v: [4, 2], d: [2, 4] }, nodes, ['r', 'mean', 'logvar']);
    const model = await load(net, { normal: ['eps'], objective: parseObjective(`elbo:likelihood=${likelihood}`) });
    await check(model, { x: floats('x', 4) }, ({ x, eps, m, v, d }) => {
      const [mean, logvar] = [times(x!, m!, 2), times(x!, v!, 2)];
      const r = times(
        mean.map((a, i) => a + Math.exp(logvar[i]! / 2) * eps![i]!),
        d!,
        4,
      );
      const fit = Array.from(x!).reduce((sum, a, i) => {
        const b = r[i]!;
        return (
          sum +
          (likelihood === 'gaussian' ? (a - b) ** 2 / 2 + Math.log(2 * Math.PI) / 2 : Math.log1p(Math.exp(b)) - a * b)
        );
      }, 0);
      return fit + mean.reduce((sum, a, i) => sum + (a * a + Math.exp(logvar[i]!) - 1 - logvar[i]!) / 2, 0);
    });
  });
});

describe('causal-lm', () => {
  it('is −Σ log p of every next token', async () => {
    const nodes = [node('Gather', ['table', 'ids'], 'h'), node('MatMul', ['h', 'out'], 'logits')];
    const net = network({ ids: [5] }, { table: [7, 3], out: [3, 7] }, nodes, ['logits'], ['ids']);
    const model = await load(net, { objective: { kind: 'causal-lm' } });
    expect(model.hash).toBe((await load(net, { objective: parseObjective('causal-lm') })).hash);
    const ids = BigInt64Array.from(Array.from({ length: n * 5 }, (_, k) => BigInt((k * k + 3) % 7)));
    await check(model, { ids: { data: ids, shape: [5] } }, ({ ids: tokens, table, out }) => {
      let nll = 0;
      for (let t = 0; t < 4; t++) {
        const logits = times(table!.subarray(3 * tokens![t]!, 3 * tokens![t]! + 3), out!, 7);
        nll -= logits[tokens![t + 1]!]! - Math.log(logits.reduce((sum, v) => sum + Math.exp(v), 0));
      }
      return nll;
    });
  });
});

describe('denoise', () => {
  const nodes = [
    node('MatMul', ['x', 'w'], 'h'),
    node('Cast', ['t'], 'time', { to: 1 }),
    node('Mul', ['time', 'b'], 'shift'),
    node('Add', ['h', 'shift'], 'prediction'),
  ];
  const net = network({ x: [4], t: [] }, { w: [4, 4], b: [4] }, nodes, ['prediction'], ['t']);

  it.each([
    ['noise', 'l2', 'linear'],
    ['x0', 'l1', 'cosine'],
    ['v', 'l2', 'cosine'],
  ] as const)('predicting %s, %s, %s schedule', async (predicts, norm, schedule) => {
    const t = 30;
    const text = `denoise:t=${t},steps=100,schedule=${schedule},predicts=${predicts},norm=${norm}`;
    const model = await load(net, { objective: parseObjective(text) });
    expect(Object.keys(model.inputs)).toEqual(['x']);
    const alpha = alphaBars(schedule, 100)[t]!;
    await check(model, { x: floats('x', 4) }, ({ x, w, b, 'denoise.noise': noise }) => {
      const seen = Array.from(x!, (v, i) => Math.sqrt(alpha) * v + Math.sqrt(1 - alpha) * noise![i]!);
      const out = times(seen, w!, 4).map((v, i) => v + t * b![i]!);
      return Array.from(x!).reduce((sum, v, i) => {
        const targets = { noise: noise![i]!, x0: v, v: Math.sqrt(alpha) * noise![i]! - Math.sqrt(1 - alpha) * v };
        const error = targets[predicts] - out[i]!;
        return sum + (norm === 'l1' ? Math.abs(error) : error * error);
      }, 0);
    });
  });

  it('maps pixels to the range the network knows', async () => {
    const model = await load(net, { objective: parseObjective('denoise:t=0'), pixels: [-1, 1] });
    const alpha = alphaBars('linear', 1000)[0]!;
    const data = { data: Uint8Array.from({ length: n * 4 }, (_, k) => (k * 37) % 256), shape: [4], pixels: true };
    await check(model, { x: data }, ({ x, w, 'denoise.noise': noise }) => {
      const clean = Array.from(x!, (v) => (2 * v) / 255 - 1);
      const seen = clean.map((v, i) => Math.sqrt(alpha) * v + Math.sqrt(1 - alpha) * noise![i]!);
      return times(seen, w!, 4).reduce((sum, v, i) => sum + (noise![i]! - v) ** 2, 0);
    });
  });

  it('without a step is scored at the first, and by the combined detector at later ones, too', async () => {
    const model = await load(net, { objective: 'denoise:steps=500' });
    const at = async (t: number) => load(net, { objective: `denoise:steps=500,t=${t}` });
    const aspects = model.aspects!();
    expect(Object.keys(aspects)).toEqual(['t1', 't32', 't128']);
    const data = memoryDataset('d', n, 'f', { x: floats('x', 4) });
    const tableOf = async (one: ScoringModel) => {
      const extractor = await openExtractor(one, { seed: 5, threads: 1 });
      const { nll, sqNorms } = await extractor.table(data);
      await extractor.dispose();
      return { nll, sqNorms };
    };
    expect(await tableOf(model)).toEqual(await tableOf(await at(1)));
    for (const t of [1, 32, 128]) expect(await tableOf(aspects[`t${t}`]!)).toEqual(await tableOf(await at(t)));
    const hashes = [model, ...Object.values(aspects), await at(1)].map(({ hash }) => hash);
    expect(new Set(hashes).size).toBe(5);
    expect(aspects.t1!.aspects).toBeUndefined();
    expect((await at(32)).aspects).toBeUndefined();
    expect((await load(net, { objective: 'denoise:steps=1' })).aspects).toBeUndefined();
  });

  it('has aspects at the size that the data have', async () => {
    const bytes = proto.modelBytes({
      node: [proto.node('MatMul', ['x', 'w'], ['prediction'])],
      initializer: [proto.tensor('w', [4, 4], new Float32Array(16))],
      input: [proto.value('x', proto.FLOAT, ['n', 'k', 4]), proto.value('t', proto.INT64, ['n'])],
      output: [proto.value('prediction', proto.FLOAT)],
    });
    const model = await onnxModel(bytes, 'free.onnx', { objective: 'denoise' });
    const at = model.at!({ x: [7, 4] });
    for (const [name, aspect] of Object.entries(at.aspects!())) {
      expect(aspect.inputs.x, name).toEqual([7, 4]);
      const loss = aspect.loss();
      const noise = inputsOf({ arena: loss.arena, outputs: { loss } }).find((v) => nameOf(v) === 'denoise.noise')!;
      expect(noise.shape).toEqual([1, 7, 4]);
    }
  });

  it.each(['denoise:t=3', 'denoise:t=3,time=t'])('whose time comes first, by %s', async (objective) => {
    for (const time of [[], [1]]) {
      const first = network({ t: time, x: [4] }, { w: [4, 4], b: [4] }, nodes, ['prediction'], ['t']);
      const model = await load(first, { objective });
      expect(Object.keys(model.inputs)).toEqual(['x']);
    }
  });

  it('has the schedules of their papers', () => {
    expect(alphaBars('linear', 1000)[0]!).toBeCloseTo(1 - 1e-4, 12);
    expect(alphaBars('linear', 1000)[999]!).toBeCloseTo(4.04e-5, 6);
    expect(alphaBars('cosine', 1000)[499]!).toBeCloseTo(0.494, 3);
  });
});

describe('a loss whose time is drawn', () => {
  // Σ (x w − b t)²
  const error = [node('MatMul', ['x', 'w'], 'h'), node('Mul', ['time', 'b'], 'shift')];
  const square = [node('Sub', ['h', 'shift'], 'd'), node('Mul', ['d', 'd'], 's')];
  const sum = node('ReduceSum', ['s'], 'loss', { keepdims: 0 });
  const weights = { w: [4, 4], b: [4] };
  const cast = node('Cast', ['t'], 'time', { to: 1 });
  const whole = (name: string) => {
    const own = [{ ...cast, inputs: [name] }, ...error, ...square, sum];
    return network({ x: [4], [name]: [1] }, weights, own, ['loss'], [name]);
  };
  const data = memoryDataset('d', n, 'f', { x: floats('x', 4) });
  const losses = async (model: ScoringModel) => {
    const extractor = await openExtractor(model, { seed: 5, threads: 1 });
    const { nll } = await extractor.table(data);
    await extractor.dispose();
    return [...nll];
  };

  it.each([
    [[0, 999], { t1: 1, t64: 64, t256: 256 }],
    [[10, 509], { t11: 11, t42: 42, t138: 138 }],
    [[1, 4], { t2: 2, t1: 1 }],
  ] as const)('from whole numbers of %j has aspects at some', async (range, wanted) => {
    const model = await load(whole('t'), { integers: { t: range } });
    const aspects = model.aspects!();
    expect(Object.keys(aspects)).toEqual(Object.keys(wanted));
    for (const [name, t] of Object.entries(wanted)) {
      const fixed = await load(whole('t'), { constants: { t } });
      expect(await losses(aspects[name]!)).toEqual(await losses(fixed));
      expect(fixed.aspects).toBeUndefined();
    }
  });

  it('has none of a single step, nor of a number that is not called a time', async () => {
    expect((await load(whole('t'), { integers: { t: [3, 3] } })).aspects).toBeUndefined();
    expect((await load(whole('label'), { integers: { label: [0, 9] } })).aspects).toBeUndefined();
  });

  it('from a real number has aspects at shares of it, as an input or drawn by the file', async () => {
    const time = node('Identity', ['u'], 'time');
    const input = network({ x: [4], u: [1] }, weights, [time, ...error, ...square, sum], ['loss']);
    const column = node('Gemm', ['x', 'v'], 'c'); // [n, 1]
    const draw = node('RandomUniformLike', ['c'], 'time');
    const drawn = network({ x: [4] }, { ...weights, v: [4, 1] }, [column, draw, ...error, ...square, sum], ['loss']);
    for (const model of [await load(input, { uniform: ['u'] }), await load(drawn, {})]) {
      const aspects = model.aspects!();
      expect(Object.keys(aspects)).toEqual(['t1', 't64', 't256']);
      const fixed = await load(input, { constants: { u: 0.0645 } });
      expectClose(Float64Array.from(await losses(aspects.t64!)), await losses(fixed), 1e-6, 'loss');
    }
  });

  it('has none where two are drawn, or where the data are a single number', async () => {
    const two = [node('Add', ['u', 'v'], 'time'), ...error, ...square, sum];
    const both = network({ x: [4], u: [1], v: [1] }, weights, two, ['loss']);
    expect((await load(both, { uniform: ['u', 'v'] })).aspects).toBeUndefined();
    const nodes = [node('Add', ['x', 'u'], 'y'), node('Mul', ['y', 'w'], 'd'), node('Mul', ['d', 'd'], 'loss')];
    const noised = network({ x: [1], u: [1] }, { w: [1] }, nodes, ['loss']);
    expect((await load(noised, { uniform: ['u'], params: /w/ })).aspects).toBeUndefined();
  });
});

describe('what does not fit', () => {
  const net = network({ x: [4] }, { w: [4, 4] }, [node('MatMul', ['x', 'w'], 'y')], ['y']);

  it.each([
    ['nonsense', UsageError, /there are nll, denoise, flow, elbo, causal-lm/],
    ['flow:t=3', UsageError, /'t=3' is none of latent=…, logdet=…/],
    ['denoise:t=one', UsageError, /t is 'one', expected a whole number/],
    ['denoise:steps=0', UsageError, /steps is '0', expected a whole number from 1/],
    ['denoise:t=1000', UsageError, /t=1000 is not one of the 1000 steps/],
    ['denoise:t=1,schedule=square', UsageError, /schedule is 'square', expected linear or cosine/],
    ['flow', ModelError, /has no output 2; it has y/],
    ['flow:latent=z', ModelError, /has no output 'z'; it has y/],
  ] as const)('%s', async (text, kind, message) => {
    const opened = (async () => load(net, { objective: parseObjective(text) }))();
    await expect(opened).rejects.toThrow(kind);
    await expect(opened).rejects.toThrow(message);
  });

  it('of what plain JavaScript gives', async () => {
    const wrong = (objective: unknown, message: RegExp) =>
      expect(load(net, { objective: objective as never })).rejects.toThrow(message);
    await wrong('nonsense', /`objective` is 'nonsense'; there are nll/);
    await wrong({ kind: 'nonsense' }, /`objective` is 'nonsense'; there are nll/);
    await wrong({}, /`objective` is undefined; there are nll/);
    await wrong(null, /`objective` is null; there are nll/);
    await wrong({ kind: 'flow', options: ['y'] }, /its options are \["y"\], expected a record/);
    await wrong({ kind: 'denoise', options: { t: 1, step: 10 } }, /'step=10' is none of t=…, time=…/);
    await wrong({ kind: 'flow', options: { latent: '' } }, /'latent=' is none of/);
    const option = (options: object, message: RegExp) => expect(load(net, options)).rejects.toThrow(message);
    await option({ params: 'w' }, /params is 'w', expected a regular expression/);
    await option({ normal: 'x' }, /normal is 'x', expected a list of texts/);
    await option({ pixels: 255 }, /pixels is 255, expected two numbers/);
    await option({ constants: { t: '3' } }, /constants is an object of t, expected a record of a number each/);
    await option({ dims: { seq: 0 } }, /dims is an object of seq, expected a record of a whole number/);
  });

  it('nothing of an objective whose options are left out, or said as numbers or in one text', async () => {
    const bare = await load(net, { objective: { kind: 'nll' }, params: /w/ }).catch((error: Error) => error.message);
    expect(bare).toMatch(/output 'y' is \[1,4\]/); // as without
    const denoising = network({ x: [4], t: [1] }, { w: [4, 4] }, [node('MatMul', ['x', 'w'], 'y')], ['y']);
    const said = [
      { kind: 'denoise', options: { t: 3, steps: 10 } },
      { kind: 'denoise', options: { t: '3', steps: '10', norm: undefined } },
      'denoise:t=3,steps=10',
      parseObjective('denoise:steps=10,t=3'),
    ].map((objective) => load(denoising, { objective: objective as never }));
    const hashes = new Set((await Promise.all(said)).map(({ hash }) => hash));
    expect(hashes.size).toBe(1);
  });

  it('a loss that is not one number per example', async () => {
    await expect(load(net, {})).rejects.toThrow(/output 'y' is \[1,4\] for one example, expected one number/);
  });
});

describe('without an objective it is said which one the network looks made for:', () => {
  const matmul = (x: string, w: string, y: string) => node('MatMul', [x, w], y);
  const times4 = matmul('x', 'w', 'z');
  const numbers = { x: [4] };
  const one = [times4, matmul('z', 'v', 'a')];

  it.each([
    ['denoise', network({ x: [4], t: [] }, { w: [4, 4] }, [times4], ['z'], ['t'])],
    ['causal-lm', network({ ids: [5] }, { e: [7, 3] }, [node('Gather', ['e', 'ids'], 'z')], ['z'], ['ids'])],
    ['elbo', network(numbers, { w: [4, 4], v: [4, 2] }, [...one, matmul('z', 'v', 'b')], ['z', 'a', 'b'])],
  ])('%s', async (objective, net) => {
    await expect(load(net, {})).rejects.toThrow(`\`objective: '${objective}'\` makes one, if it is the network`);
  });

  it('none that its shapes do not tell', async () => {
    await expect(load(network(numbers, { w: [4, 4] }, [times4], ['z']), {})).rejects.toThrow(/makes one from other/);
  });

  const sum = (name: string) => [times4, matmul('z', 'v', 'a'), node('Squeeze', ['a', 'last'], name)];
  const withSum = (name: string): OnnxModel => {
    const net = network(numbers, { w: [4, 4], v: [4, 1] }, sum(name), ['z', name]);
    const last = { name: 'last', dims: [1], dtype: 'int64', data: BigInt64Array.of(1n) } as const;
    return { ...net, initializers: [...net.initializers, last] };
  };

  it.each([
    ['log_det', 'flow'],
    ['logdet', 'flow'],
    ['sum_log_abs_det_jacobian', 'flow'],
    ['ldj', 'flow'],
    ['kl', 'elbo'],
    ['kl_loss', 'elbo'],
    ['KLD', 'elbo'],
  ])('an output %s is not taken for the loss, but for a part of a loss of %s', async (name, objective) => {
    await expect(load(withSum(name), {})).rejects.toThrow(
      `output '${name}' [n] is by its name only a part of a loss: it has the outputs z [n, 4], ${name} [n]; \`objective: '${objective}'\` makes a loss of all`,
    );
    expect((await load(withSum(name), { loss: name })).notes).toEqual([]);
  });

  it('an output that may be a log-determinant is taken for the loss, and that is said', async () => {
    expect((await load(withSum('nll'), {})).notes).toEqual([
      "output 'nll' [n] is taken for the loss, the only one of z [n, 4], nll [n] that can be; `loss` takes another, `objective: 'flow'` both where it is a log-determinant",
    ]);
  });
});
