// Losses made from networks that stop short of one: against the same computed by hand, and their norms against finite
// differences.

import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/dataset.ts';
import { feedsFor } from '../../src/engine/feeds.ts';
import { ModelError, UsageError } from '../../src/errors.ts';
import { inputsOf, nameOf } from '../../src/graph/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { alphaBars } from '../../src/objectives/index.ts';
import type { OnnxModel } from '../../src/onnx/index.ts';
import { onnxModel, parseObjective, type ScoringModel } from '../../src/store/index.ts';
import { expectClose, expectSqNorms } from '../support/compare.ts';
import { openNetwork as load, network, node, tableOf } from '../support/onnx.ts';
import * as proto from '../support/proto.ts';
import { finiteDifferences, randomData } from '../support/run.ts';

const n = 3;

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
    const aspects = model.aspects!()!;
    expect(Object.keys(aspects)).toEqual(['t1', 't32', 't128']);
    const data = memoryDataset('d', n, 'f', { x: floats('x', 4) });
    expect(await tableOf(model, data)).toEqual(await tableOf(await at(1), data));
    for (const t of [1, 32, 128]) {
      expect(await tableOf(aspects[`t${t}`]!, data)).toEqual(await tableOf(await at(t), data));
    }
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
    for (const [name, aspect] of Object.entries(model.aspects!()!)) {
      expect(aspect.free, name).toEqual(model.free);
      const at = aspect.at!({ x: [7, 4] });
      expect(at.inputs.x, name).toEqual([7, 4]);
      const loss = at.loss();
      const noise = inputsOf({ arena: loss.arena, outputs: { loss } }).find((v) => nameOf(v) === 'denoise.noise')!;
      expect(noise.shape).toEqual([1, 7, 4]);
      const wanted = await onnxModel(bytes, 'free.onnx', { objective: `denoise:t=${name.slice(1)}` });
      const seven = memoryDataset('d', n, 'f', { x: floats('x', 7, 4) });
      expect(await tableOf(aspect, seven)).toEqual(await tableOf(wanted, seven));
    }
  });

  it.each(['denoise:t=3', 'denoise:t=3,time=t'])('whose time comes first, by %s', async (objective) => {
    for (const time of [[], [1]]) {
      const first = network({ t: time, x: [4] }, { w: [4, 4], b: [4] }, nodes, ['prediction'], ['t']);
      const model = await load(first, { objective });
      expect(Object.keys(model.inputs)).toEqual(['x']);
    }
  });

  it('of data beside a longer condition, which the time may stand before', async () => {
    const names = { x: [4], ids: [9], t: [] };
    for (const order of [
      ['x', 'ids', 't'],
      ['t', 'x', 'ids'],
      ['ids', 'x', 't'],
    ] as const) {
      const inputs = Object.fromEntries(order.map((name) => [name, names[name]]));
      const embedded = [node('Gather', ['e', 'ids'], 'rows'), node('ReduceSum', ['rows'], 'sum', { keepdims: 0 })];
      const more = [node('Add', ['sofar', 'sum'], 'prediction')];
      const own = [...nodes.slice(0, 3), node('Add', ['h', 'shift'], 'sofar'), ...embedded, ...more];
      const conditional = network(inputs, { w: [4, 4], b: [4], e: [7, 1] }, own, ['prediction'], ['ids', 't']);
      const model = await load(conditional, { objective: 'denoise:t=3' });
      expect(Object.keys(model.inputs).sort(), order.join()).toEqual(['ids', 'x']);
      const drawn = await load(conditional, { objective: 'denoise:t=3', integers: { ids: [0, 6] } });
      expect(Object.keys(drawn.inputs), order.join()).toEqual(['x']);
    }
  });

  it('has the schedules of their papers', () => {
    expect(alphaBars('linear', 1000)[0]!).toBeCloseTo(1 - 1e-4, 12);
    expect(alphaBars('linear', 1000)[999]!).toBeCloseTo(4.04e-5, 6);
    expect(alphaBars('cosine', 1000)[499]!).toBeCloseTo(0.494, 3);
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

  const noteOf = async (name: string, net = withSum(name)) => (await load(net, {})).notes![0];
  const taken = (name: string, more: string) =>
    `output '${name}' [n] is taken for the loss, the only one of z [n, 4], ${name} [n] that can be${more}; \`loss\` takes another`;

  it.each(['log_det', 'logdet', 'sum_log_abs_det_jacobian', 'ldj', 'sldj', 'logDet', 'total_log_det', 'log_det_1'])(
    'an output %s is a part of a loss by its name',
    async (name) => {
      const objective = `flow:latent=z,logdet=${name}`;
      const both = ` (\`objective: '${objective}'\` takes both)`;
      expect(await noteOf(name)).toBe(taken(name, `, though it is called like a log-determinant alone${both}`));
      expect((await load(withSum(name), { objective })).notes).toEqual([]);
    },
  );

  it.each(['kl', 'kl_loss', 'KLD', 'klLoss', 'kl_div', 'DKL', 'kl_term'])('and so is %s', async (name) => {
    expect(await noteOf(name)).toBe(taken(name, ', though it is called like a divergence alone'));
  });

  it.each(['nll', 'recon_plus_kl', 'bce_kl_loss', 'nll_with_logdet', 'log_detection_loss', 'kl_weighted_elbo'])(
    '%s is not',
    async (name) => {
      const both = ` (\`objective: 'flow:latent=z,logdet=${name}'\` where it is a log-determinant)`;
      expect(await noteOf(name)).toBe(taken(name, both));
    },
  );
});
