// What a loss can be made from by name, and the text of the command line that says it.

import { UsageError } from '../errors.ts';

/** How a likelihood, a bound or another loss is made from what a network gives. */
export interface Objective {
  readonly kind: keyof typeof kinds;
  /** Default: none, for what stands in brackets in `kinds`. */
  readonly options?: Readonly<Record<string, string | number>>;
}

/** As it is kept, and hashed. */
export interface KnownObjective {
  readonly kind: Objective['kind'];
  readonly options: Readonly<Record<string, string>>;
}

/** Options of each objective, with what they mean. */
const kinds = {
  nll: {},
  denoise: {
    t: 'timestep, from 0 (1; the combined detector also looks at two later ones)',
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
export function parseObjective(text: string): KnownObjective {
  if (typeof text !== 'string') throw noSuch(text);
  const [kind, rest] = text.split(/:(.*)/s) as [string, string | undefined];
  if (!isKind(kind)) throw noSuch(`'${text}'`);
  const options = (rest ?? '')
    .split(',')
    .filter((part) => part !== '')
    .map((part): [string, string] => {
      const [key, value] = part.split('=') as [string, string | undefined];
      if (!Object.hasOwn(kinds[kind], key) || !value) throw noOption(kind, part);
      return [key, value];
    });
  return { kind, options: Object.fromEntries(options) };
}

/**
 * The objective in what a caller gave: `{ kind, options }`, whose options may be left out or be numbers, or the text of
 * the command line. Throws a UsageError for what is not in `kinds`.
 */
export function knownObjective(given: Objective | string): KnownObjective {
  if (typeof given === 'string') return parseObjective(given);
  if (typeof given !== 'object' || given === null) throw noSuch(given);
  const { kind, options = {} } = given;
  if (!isKind(kind)) throw noSuch(typeof kind === 'string' ? `'${kind}'` : kind);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new UsageError(`\`objective: ${kind}\`: its options are ${JSON.stringify(options)}, expected a record`);
  }
  const said = Object.entries(options).filter(([, value]) => value !== undefined);
  const texts = said.map(([key, value]): [string, string] => {
    const isSaid = (typeof value === 'string' && value !== '') || typeof value === 'number';
    if (!Object.hasOwn(kinds[kind], key) || !isSaid) throw noOption(kind, `${key}=${String(value)}`);
    return [key, String(value)];
  });
  return { kind, options: Object.fromEntries(texts) };
}

const isKind = (kind: unknown): kind is Objective['kind'] => typeof kind === 'string' && Object.hasOwn(kinds, kind);

const noSuch = (found: unknown): UsageError =>
  new UsageError(`\`objective\` is ${String(found)}; there are ${Object.keys(kinds).join(', ')}`);

function noOption(kind: Objective['kind'], part: string): UsageError {
  const known = Object.keys(kinds[kind]).map((key) => `${key}=…`);
  return new UsageError(
    `\`objective: ${kind}\`: '${part}' is none of ${known.join(', ') || 'its options (it has none)'}`,
  );
}
