// Training: one step against Adam in float64, and a run that is killed against one that is not.

import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { syntheticDataset } from '../../src/data/index.ts';
import { feedsFor } from '../../src/engine/feeds.ts';
import { ModelError } from '../../src/errors.ts';
import { Arena, type Graph, inputsOf, interpret, nameOf, paramsOf } from '../../src/graph/index.ts';
import { lower } from '../../src/lower/index.ts';
import { paramScope } from '../../src/models/index.ts';
import { loadModel } from '../../src/node/index.ts';
import { nodeRuntime, openSession } from '../../src/node/runtime.ts';
import { train } from '../../src/node/training.ts';
import { encode } from '../../src/onnx/index.ts';
import { readSafetensors } from '../../src/store/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { adamDefaults, memoryStore, modelFiles, train as trainIn, trainingStep } from '../../src/train/index.ts';
import { inTemporaryFolder, killWhen, runCli } from '../support/cli.ts';
import { expectClose } from '../support/compare.ts';
import { smallModel } from '../support/models.ts';

describe.each(['ddpm', 'glow', 'vae', 'pixelcnn', 'pixelvae', 'transformer'] as const)(
  'a training step of a %s',
  (name) => {
    it.each([1, 1e-3])('is that of Adam in float64, with the gradient clipped to %d', async (clip) => {
      const model = smallModel(name);
      const n = 4;
      const data = syntheticDataset('noise', { length: n, shape: model.info.data, seed: 2 });
      const options = { ...adamDefaults, clip, average: true };
      const size = { examples: n, parts: 2 };
      const { gradient, update, layout } = trainingStep(model.arch, model.info.config, model.info.data, size, options);
      const batch = await data.gather([0, 1, 2, 3]);
      const feeds = feedsFor(inputsOf(gradient), batch, [0, 1, 2, 3], 7);
      const theta = Float64Array.from(layout.specs.flatMap((s) => [...model.weights[s.name]!.data]));
      const m = theta.map((_, i) => Math.sin(i) * 1e-3);
      const v = theta.map((_, i) => (1 + Math.cos(i)) * 1e-5);
      const [lr, t] = [0.01, 3];

      // Σ over the batch of each example's gradient, in float64.
      const arena = new Arena();
      const { nll } = model.arch.loss(model.info.config, model.info.data, paramScope(arena));
      const params = layout.specs.map(
        (s) => paramsOf({ arena: nll.arena, outputs: { nll } }).find((p) => nameOf(p) === s.name)!,
      );
      const outputs = { nll, ...Object.fromEntries(differentiate(nll, params).map((g, j) => [nameOf(params[j]!), g])) };
      const weights = Object.fromEntries(Object.entries(model.weights).map(([key, w]) => [key, w.data]));
      const raw = new Float64Array(theta.length);
      let loss = 0;
      for (let i = 0; i < n; i++) {
        const example = Object.entries(feeds).map(([key, f]) => {
          const size = f.data.length / n;
          return [key, (f.data as Float32Array).subarray(i * size, (i + 1) * size)] as const;
        });
        const found = interpret({ arena: nll.arena, outputs }, { ...weights, ...Object.fromEntries(example) });
        loss += found.nll!.data[0]! / n;
        let at = 0;
        for (const s of layout.specs)
          for (const d of found[s.name]!.data) raw[at++]! += d / (n * sizeOf(model.info.data));
      }
      const norm = Math.hypot(...raw);
      const g = raw.map((d) => d * Math.min(1, clip / norm));
      const { beta1, beta2, epsilon } = adamDefaults;
      const nextM = m.map((x, i) => beta1 * x + (1 - beta1) * g[i]!);
      const nextV = v.map((x, i) => beta2 * x + (1 - beta2) * g[i]! ** 2);
      const [c1, c2] = [1 - beta1 ** t, 1 - beta2 ** t];
      const next = theta.map((x, i) => x - (lr * (nextM[i]! / c1)) / (Math.sqrt(nextV[i]! / c2) + epsilon));

      const open = (graph: Graph, sizes: { examples: number; group: number }) =>
        openSession(encode(lower(graph, { ...sizes, weights: 'inputs' })), { threads: 1 });
      const parts = await open(gradient, { examples: n, group: n / 2 });
      const whole = await open(update, { examples: 1, group: 1 });
      const flat = (x: Float64Array) => ({ data: Float32Array.from(x), shape: [x.length] });
      const scalar = (x: number) => ({ data: Float32Array.of(x), shape: [] });
      const buffers = Object.fromEntries(
        Object.entries(model.weights).filter(([key]) => !layout.specs.some((s) => s.name === key)),
      );
      const added = await parts.run({ ...feeds, ...buffers, theta: flat(theta) });
      const actual = await whole.run({
        gradients: added.gradient!,
        losses: added.loss!,
        theta: flat(theta),
        m: flat(m),
        v: flat(v),
        lr: scalar(lr),
        correction1: scalar(c1),
        correction2: scalar(c2),
        mean: flat(m),
        keep: scalar(0.75),
      });
      await Promise.all([parts.dispose(), whole.dispose()]);
      expectClose(actual.loss!.data, [loss], 1e-5, 'loss');
      expectClose(actual.gradientNorm!.data, [norm], 1e-4, 'gradient norm');
      expectClose(actual.nextM!.data, nextM, 1e-3, 'm', Math.max(...nextM.map(Math.abs)) * 0.01);
      expectClose(actual.nextV!.data, nextV, 1e-3, 'v', Math.max(...nextV) * 0.01);
      const nextMean = next.map((x, i) => 0.75 * m[i]! + 0.25 * x);
      expectClose(actual.nextMean!.data, nextMean, 1e-3, 'mean', Math.max(...nextMean.map(Math.abs)) * 0.1);
      // The step is what is compared: θ itself would hide it.
      const step = (to: ArrayLike<number>) => Float64Array.from(theta, (x, i) => to[i]! - Math.fround(x));
      expectClose(step(actual.nextTheta!.data), step(next), 1e-2, 'step', lr * 0.1);
    });
  },
);

const run = (dir: string) => [
  ...['train', 'glow', '--data', 'sample/mnist', '--limit', '200', '--pad', '32', '--out', dir],
  ...[
    '--config',
    '{"levels": 1, "steps": 1, "hidden": 4}',
    '--batch',
    '8',
    '--steps',
    '900',
    '--checkpoint-every',
    '20',
    '--lr',
    '0.01',
  ],
];
const logOf = (dir: string) => readFileSync(join(dir, 'train.log.jsonl'), 'utf8');
const weightsOf = (dir: string) => readFileSync(join(dir, 'weights.safetensors'));

describe('a run that is killed', () => {
  it('goes on where it was and ends with the same bits', async () => {
    await inTemporaryFolder(async (folder) => {
      const [whole, killed] = [join(folder, 'whole'), join(folder, 'killed')];
      expect((await runCli(...run(whole))).code).toBe(0);
      const checkpoint = join(killed, 'checkpoint.safetensors');
      const stepOf = () => {
        if (!existsSync(checkpoint)) return 0;
        return readSafetensors(new Uint8Array(readFileSync(checkpoint)), checkpoint)['train:step']!.data[0]!;
      };
      for (const step of [20, 100]) await killWhen(run(killed), () => stepOf() >= step);
      expect(existsSync(join(killed, 'weights.safetensors'))).toBe(false);
      const { code, stderr } = await runCli(...run(killed));
      expect(code).toBe(0);
      expect(stderr).toContain('Goes on training');
      expect(weightsOf(killed).equals(weightsOf(whole))).toBe(true);
      expect(logOf(killed)).toBe(logOf(whole));
      expect(existsSync(checkpoint)).toBe(false);
    });
  }, 240_000);
});

describe('train', () => {
  it('lowers the bits/dim and leaves a directory that loads', async () => {
    await inTemporaryFolder(async (folder) => {
      const { code } = await runCli(...run(join(folder, 'm')));
      expect(code).toBe(0);
      const log = readFileSync(join(folder, 'm', 'train.log.jsonl'), 'utf8')
        .trim()
        .split('\n');
      const bits = log.map((line) => (JSON.parse(line) as { validBitsPerDim: number }).validBitsPerDim);
      expect(bits).toHaveLength(45);
      expect(bits.at(-1)!).toBeLessThan(bits[0]! - 0.2);
      expect((await loadModel(join(folder, 'm'))).info.arch).toBe('glow');
    });
  });

  it('keeps the same in memory as in a folder, and goes on there', async () => {
    await inTemporaryFolder(async (folder) => {
      const { info, arch } = smallModel('glow');
      const data = syntheticDataset('noise', { length: 40, shape: info.data, seed: 1 });
      const training = { ...info.training, steps: 4, batch: 4, learningRate: 1e-3 };
      const options = {
        runtime: nodeRuntime(),
        info: { ...info, training },
        arch,
        data,
        checkpointEvery: 2,
        threads: 1,
      };
      const store = memoryStore();
      const onProgress = ({ step }: { step: number }) => {
        if (step === 4) throw new Error('stopped');
      };
      await expect(trainIn({ ...options, store, onProgress })).rejects.toThrow('stopped');
      expect(await store.has('checkpoint.safetensors')).toBe(true);
      await trainIn({ ...options, store });
      await expect(trainIn({ ...options, store })).rejects.toThrow('memory: training is finished');
      const dir = join(folder, 'm');
      await train({ ...options, dir });
      for (const file of modelFiles) {
        const found = await store.read(file);
        if (!existsSync(join(dir, file))) expect(found).toBeUndefined();
        else expect(Buffer.from(found!.bytes).equals(readFileSync(join(dir, file))), file).toBe(true);
      }
    });
  });

  it('ends a run that was stopped between its weights and the removal of its checkpoint', async () => {
    await inTemporaryFolder(async (folder) => {
      const { info, arch } = smallModel('vae');
      const data = syntheticDataset('noise', { length: 40, shape: info.data, seed: 1 });
      const training = { ...info.training, steps: 4, batch: 4, learningRate: 1e-3 };
      const dir = join(folder, 'm');
      const [checkpoint, kept] = [join(dir, 'checkpoint.safetensors'), join(folder, 'kept')];
      const onProgress = ({ step }: { step: number }) => {
        if (step === 4) copyFileSync(checkpoint, kept); // that of step 2
      };
      await train({ info: { ...info, training }, arch, data, dir, checkpointEvery: 2, onProgress });
      const weights = weightsOf(dir);
      copyFileSync(kept, checkpoint);
      await train({ info: { ...info, training }, arch, data, dir, checkpointEvery: 2 });
      expect(weightsOf(dir).equals(weights)).toBe(true);
      expect(existsSync(checkpoint)).toBe(false);
    });
  });

  it('refuses a directory of another run, a finished one and a damaged checkpoint', async () => {
    await inTemporaryFolder(async (folder) => {
      const { info, arch } = smallModel('vae');
      const data = syntheticDataset('noise', { length: 40, shape: info.data, seed: 1 });
      const training = { ...info.training, steps: 4, batch: 4, learningRate: 1e-3 };
      const options = { info: { ...info, training }, arch, data, dir: join(folder, 'm'), checkpointEvery: 2 };
      await train(options);
      await expect(train(options)).rejects.toThrow(/training is finished/);
      const other = { ...options.info, training: { ...training, seed: 1 } };
      await expect(train({ ...options, info: other })).rejects.toThrow(
        /holds another training run; there and asked for are training\.seed: \d+, \d+\. Give another folder/,
      );
      await expect(
        train({
          ...options,
          data: syntheticDataset('noise', { length: 3, shape: info.data, seed: 1 }),
          dir: join(folder, 'n'),
        }),
      ).rejects.toThrow(/do not fill a batch/);

      const bytes = readFileSync(join(folder, 'm', 'weights.safetensors'));
      for (const cut of [0, 7, 8, 100, bytes.length - 1]) {
        expect(() => readSafetensors(new Uint8Array(bytes.subarray(0, cut)), 'w')).toThrow(ModelError);
      }
    });
  });
});

describe('training a ddpm', () => {
  const { info, arch } = smallModel('ddpm');
  const data = syntheticDataset('constant', { length: 80, shape: info.data, seed: 1 });
  const training = { ...info.training, steps: 300, batch: 16, learningRate: 5e-3, ema: 0.98 };
  const options = { info: { ...info, training }, arch, data, threads: 1, checkpointEvery: 50 };

  it('lowers the loss, under its own name, and goes on to the same bits after a stop', async () => {
    await inTemporaryFolder(async (folder) => {
      const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')];
      const last = await train({ ...options, dir: whole });
      expect(last).not.toHaveProperty('validBitsPerDim');
      const log = logOf(whole)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { validLossPerDim: number });
      expect(log).toHaveLength(6);
      expect(log.at(-1)!.validLossPerDim).toBeLessThan(0.7 * log[0]!.validLossPerDim);

      const stop = ({ step }: { step: number }) => {
        if (step === 150) throw new Error('stopped');
      };
      await expect(train({ ...options, dir: stopped, onProgress: stop })).rejects.toThrow('stopped');
      await train({ ...options, dir: stopped });
      expect(weightsOf(stopped).equals(weightsOf(whole))).toBe(true);
      expect(logOf(stopped)).toBe(logOf(whole));
    });
  });

  it('leaves a model whose hash says what it is scored by', async () => {
    await inTemporaryFolder(async (folder) => {
      const dir = join(folder, 'm');
      await train({ ...options, info: { ...info, training: { ...training, steps: 1 } }, dir });
      const asked = [{}, { timesteps: [2] }, { timesteps: [1], noiseSamples: 2 }, { bound: true }];
      const models = await Promise.all(asked.map((scoring) => loadModel(dir, scoring)));
      expect(new Set(models.map((m) => m.hash)).size).toBe(asked.length);
      expect((await loadModel(dir, { timesteps: [1] })).hash).toBe(models[0]!.hash); // the default
      expect(models.map((m) => m.dims)).toEqual([undefined, undefined, undefined, 16]); // bits/dim of the bound alone
      expect(models[1]!.about).toContain('scored by {"timesteps":[2],"noiseSamples":1}');
    });
  });
});
