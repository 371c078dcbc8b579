// A diffusion model in; its variational bound with all its terms, for some examples, out.

import { take } from '../data/index.ts';
import { fullBound } from '../node/defaults.ts';
import type { Model } from '../store/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Lab } from './lab.ts';
import type { ModelPlan } from './plan.ts';
import { mean } from './words.ts';

/** Mean over `examples` inputs of the learned set that were not trained on. */
export interface Bound {
  readonly bitsPerDim: number;
  readonly examples: number;
}

/** Of a plan that asks for it; worked out once, and kept. */
export async function boundOf(lab: Lab, plan: ModelPlan, model: Model): Promise<Bound | undefined> {
  if (!plan.bound) return undefined;
  const { examples } = plan.bound;
  const { test } = await lab.material(plan);
  const data = take(test.data, 0, Math.min(examples, test.data.length));
  const key = { hash: model.hash, data: data.fingerprint, seed: lab.seed };
  return lab.stage(`bound-${plan.id}`, key, async () => {
    const nats = await fullBound(model, data, {
      seed: lab.seed,
      ...lab.threads,
      onProgress: (runs, of) => {
        if (runs % 50 === 0) lab.progress(`variational bound of ${plan.id}: ${runs} of ${of} runs`);
      },
    });
    return { bitsPerDim: mean(nats) / (sizeOf(model.info.data) * Math.LN2), examples: data.length };
  });
}
