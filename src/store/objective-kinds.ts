// What a loss can be made from by name, and the text of the command line that says it.

import { UsageError } from '../errors.ts';

/** How a likelihood, a bound or another loss is made from what a network gives. */
export interface Objective {
  readonly kind: keyof typeof kinds;
  readonly options: Readonly<Record<string, string>>;
}

/** Options of each objective, with what they mean. */
const kinds = {
  nll: {},
  denoise: {
    t: 'timestep, from 0 (needed)',
    time: 'the input that takes it (default: the other one)',
    steps: 'number of steps of the schedule (1000)',
    schedule: 'linear or cosine (linear)',
    predicts: 'noise, x0 or v (noise)',
    norm: 'l1 or l2 (l2)',
    output: 'the prediction (the first output)',
  },
  flow: { latent: 'the latent (the first output)', logdet: 'log |det| (the second output)' },
  elbo: {
    reconstruction: 'mean or logits of x given z (the first output)',
    mean: 'of the posterior (the second output)',
    logvar: 'log-variance of the posterior (the third output)',
    likelihood: 'gaussian or bernoulli (gaussian)',
  },
  'causal-lm': { logits: 'the logits (the first output)', tokens: 'the input with the tokens (the only one)' },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

/** `denoise:t=10,schedule=cosine`; throws UsageError for what is not in `kinds`. */
export function parseObjective(text: string): Objective {
  const [kind, rest] = text.split(/:(.*)/s) as [string, string | undefined];
  if (!Object.hasOwn(kinds, kind)) {
    throw new UsageError(`\`objective\` is '${text}'; there are ${Object.keys(kinds).join(', ')}`);
  }
  const known = Object.keys(kinds[kind as Objective['kind']]);
  const options = (rest ?? '')
    .split(',')
    .filter((part) => part !== '')
    .map((part): [string, string] => {
      const [key, value] = part.split('=') as [string, string | undefined];
      if (!known.includes(key) || !value) {
        throw new UsageError(
          `\`objective: ${kind}\`: '${part}' is none of ${known.map((k) => `${k}=…`).join(', ') || 'its options (it has none)'}`,
        );
      }
      return [key, value];
    });
  return { kind: kind as Objective['kind'], options: Object.fromEntries(options) };
}
