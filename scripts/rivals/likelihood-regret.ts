// Likelihood regret: by how much a VAE's bound on an input's likelihood grows when the posterior is fitted to that
// input alone.
//
// Xiao, Yan & Amit, "Likelihood regret: an out-of-distribution detection score for variational auto-encoder", NeurIPS
// 2020. They fit the encoder's weights or, as here, what it gives: mean and log variance of the latents. 100 steps of
// Adam (Kingma & Ba 2015), theirs in number, each on a draw of the latents of its own. The step size is for latents and
// so ours: on Fashion-MNIST and MNIST another 100 steps changed the regret by some ten nats, of 20 and 220. Theirs is
// of an importance-weighted bound with 1,000 draws, ours of the plain one.

import { differentiate } from '../../src/autodiff/index.ts';
import type { Batch, Dataset } from '../../src/data/index.ts';
import { type Feeds, inRuns, openProgram } from '../../src/engine/index.ts';
import { ModelError } from '../../src/errors.ts';
import { Arena, inputsOf, nameOf, type Value } from '../../src/graph/index.ts';
import { paramScope, shared, type VaeConfig, vae } from '../../src/models/index.ts';
import { encoder } from '../../src/models/vae.ts';
import { dequantise } from '../../src/objectives/index.ts';
import { rewrite, substitute } from '../../src/ops/index.ts';
import type { Model, ScoringModel } from '../../src/store/index.ts';
import { bySingles, type Context, type Method } from './method.ts';

const STEPS = 100;
const RATE = 0.05;
const [DECAY1, DECAY2, LEAST] = [0.9, 0.999, 1e-8];
/** Draws of the latents, the same before and after, that the bound is a mean over. */
const DRAWS = 8;

export const likelihoodRegret: Method = {
  names: ['likelihood-regret'],
  source: 'Xiao et al. 2020',
  async fit(context) {
    const open = openRegret(context);
    const score = async (data: Dataset) => ({ 'likelihood-regret': await open.regrets(data, STEPS) });
    return bySingles(score, open.dispose);
  },
};

/**
 * The bound with its posterior as inputs 'mu' and 'logVar' [latent], its gradients in these, and what the encoder gives
 * for them.
 */
export function regretGraph(model: ScoringModel) {
  if (!('arch' in model) || (model as Model).arch.name !== vae.name) throw new ModelError('no VAE of this package');
  const { config, data } = (model as Model).info;
  const arena = new Arena();
  const scope = shared(paramScope(arena)); // so that the encoder, written twice, is one value
  const written = vae.loss(config as VaeConfig, data, scope).nll;
  const x = inputsOf({ arena, outputs: { written } }).find((input) => nameOf(input) === 'x')!;
  const posterior = encoder(config as VaeConfig, scope.in('encoder'), dequantise(x, 0.5));
  const own = { mu: arena.input('mu', posterior.mu.shape), logVar: arena.input('logVar', posterior.logVar.shape) };
  const others = new Map<Value, Value>([
    [posterior.mu, own.mu],
    [posterior.logVar, own.logVar],
  ]);
  const loss = rewrite(substitute([written], others)[0]!);
  const [dMu, dLogVar] = differentiate(loss, [own.mu, own.logVar]) as [Value, Value];
  return {
    start: { arena, outputs: { mu: posterior.mu, logVar: posterior.logVar } },
    bound: { arena, outputs: { loss } },
    gradient: { arena, outputs: { dMu, dLogVar } },
  };
}

/** Regrets in nats of whole sets, after so many steps. */
export function openRegret({ model, runtime, seed, threads }: Context) {
  const { start, bound, gradient } = regretGraph(model);
  const how = { runtime, weights: model.weights, threads };
  const [encode, value, slope] = [start, bound, gradient].map((graph) => openProgram(graph, how)) as [
    ReturnType<typeof openProgram>,
    ReturnType<typeof openProgram>,
    ReturnType<typeof openProgram>,
  ];

  async function ofBatch(batch: Batch, steps: number): Promise<Float64Array> {
    const { n, arrays } = batch;
    const found = await encode.run(encode.feeds({ ...batch, arrays }, { group: 1 }, seed), n);
    const posterior = [found.mu!, found.logVar!].map(({ data, shape }) => ({ data: Float32Array.from(data), shape }));
    /** Feeds of draw k of the latents for a posterior. */
    const feeds = (program: typeof value, k: number): Feeds => {
      const given = { ...arrays, mu: posterior[0]!, logVar: posterior[1]! };
      return program.feeds({ ...batch, arrays: given }, { group: 1 }, seed, [k]);
    };
    const bounds = async () => {
      const sum = new Float64Array(n);
      for (let k = 0; k < DRAWS; k++) {
        const { data } = (await value.run(feeds(value, k), n)).loss!;
        for (let i = 0; i < n; i++) sum[i]! += data[i]! / DRAWS;
      }
      return sum;
    };
    const before = await bounds();
    const adam = posterior.map(({ data }) => openAdam(data));
    for (let step = 0; step < steps; step++) {
      const { dMu, dLogVar } = await slope.run(feeds(slope, DRAWS + step), n);
      for (const [k, d] of [dMu!, dLogVar!].entries()) adam[k]!(d.data);
    }
    const after = await bounds();
    return before.map((nll, i) => nll - after[i]!);
  }

  return {
    async regrets(data: Dataset, steps: number): Promise<Float64Array> {
      const out = new Float64Array(data.length);
      const size = slope.sizeFor(data.length);
      for await (const { batch, count } of inRuns(data, size)) {
        out.set((await ofBatch(batch, steps)).subarray(0, count), batch.start);
      }
      return out;
    },
    async dispose() {
      for (const program of [encode, value, slope]) await program.dispose();
    },
  };
}

/** Steps downhill in place; every number has its own size of step, so that examples do not meet. */
function openAdam(data: Float32Array): (gradient: ArrayLike<number>) => void {
  const [first, second] = [new Float64Array(data.length), new Float64Array(data.length)];
  let t = 0;
  return (gradient) => {
    t++;
    for (let i = 0; i < data.length; i++) {
      const g = gradient[i]!;
      first[i] = DECAY1 * first[i]! + (1 - DECAY1) * g;
      second[i] = DECAY2 * second[i]! + (1 - DECAY2) * g * g;
      const size = Math.sqrt(second[i]! / (1 - DECAY2 ** t)) + LEAST;
      data[i]! -= (RATE * first[i]!) / (1 - DECAY1 ** t) / size;
    }
  };
}
