// What an objective says, in; how an ONNX network that stops short of a loss is fed and turned into one, out.

import { ModelError, UsageError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import {
  alphaBars,
  causalLmNll,
  denoisingLoss,
  elboNll,
  flowNll,
  noised,
  noiseLevel,
  type Prediction,
  scaledPixels,
} from '../objectives/index.ts';
import type { FileModel, ImportOptions } from '../onnx/index.ts';
import type { KnownObjective, Objective } from './objective-kinds.ts';

export interface NetworkOptions {
  readonly objective?: Objective | string;
  /** The input that the data go to. */
  readonly input?: string;
  /** Range that pixels 0..255 are mapped to. */
  readonly pixels?: readonly [number, number];
}

/** With the objective as it is known by name. */
export type KnownNetwork = Omit<NetworkOptions, 'objective'> & { readonly objective?: KnownObjective };

/** Import options for one import: they hold values of the arena that the import makes. */
export function networkImport(file: FileModel, name: string, asked: KnownNetwork, base: ImportOptions): ImportOptions {
  const { pixels } = asked;
  const scaled = (x: Value) => (pixels ? scaledPixels(x, pixels) : x);
  const plain: ImportOptions = pixels ? { ...base, feed: scaled } : base;
  const { kind, options }: KnownObjective = asked.objective ?? { kind: 'nll', options: {} };
  switch (kind) {
    case 'nll':
      return plain;
    case 'flow':
      return { ...plain, objective: (net) => flowNll(net.output(0, options.latent), net.output(1, options.logdet)) };
    case 'elbo': {
      const likelihood = oneOf('likelihood', options.likelihood ?? 'gaussian', ['gaussian', 'bernoulli']);
      return {
        ...plain,
        objective: (net) =>
          elboNll(
            scaled(net.input(asked.input)),
            net.output(0, options.reconstruction),
            net.output(1, options.mean),
            net.output(2, options.logvar),
            likelihood,
          ),
      };
    }
    case 'causal-lm':
      return { ...base, objective: (net) => causalLmNll(net.output(0, options.logits), net.input(options.tokens)) };
    case 'denoise':
      return denoise(file, name, asked, base, options, scaled);
  }
}

function denoise(
  file: FileModel,
  name: string,
  asked: KnownNetwork,
  base: ImportOptions,
  options: Readonly<Record<string, string>>,
  scaled: (x: Value) => Value,
): ImportOptions {
  const steps = count('steps', options.steps ?? '1000', 1);
  const t = count('t', options.t ?? refuse('t=… is needed: the timestep'), 0);
  if (t >= steps) refuse(`t=${t} is not one of the ${steps} steps`);
  const schedule = oneOf('schedule', options.schedule ?? 'linear', ['linear', 'cosine']);
  const level = noiseLevel(alphaBars(schedule, steps)[t]!);
  const predicts: Prediction = oneOf('predicts', options.predicts ?? 'noise', ['noise', 'x0', 'v']);
  const norm = oneOf('norm', options.norm ?? 'l2', ['l1', 'l2']);

  const taken = [...(base.normal ?? []), ...(base.uniform ?? []), ...Object.keys(base.constants ?? {})];
  const left = file.graph.inputs.filter((v) => !taken.includes(v.name)).map((v) => v.name);
  const data = asked.input ?? left.find((v) => v !== options.time) ?? refuse(`${name} has no input for the data`);
  const time = options.time ?? left.find((v) => v !== data);
  let clean: Value | undefined;
  let noise: Value | undefined;
  return {
    ...base,
    constants: { ...base.constants, ...(time === undefined ? {} : { [time]: t }) },
    feed: (input, arena) => {
      clean = scaled(input);
      noise = arena.input('denoise.noise', input.shape, 'normal');
      return noised(clean, noise, level);
    },
    objective: (net) => {
      if (!clean || !noise) throw new ModelError(`${name}: '${data}' is not an input of floating-point numbers`);
      return denoisingLoss(net.output(0, options.output), clean, noise, level, { predicts, norm });
    },
  };
}

function refuse(reason: string): never {
  throw new UsageError(`\`objective\`: ${reason}`);
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  return allowed.find((a) => a === value) ?? refuse(`${name} is '${value}', expected ${allowed.join(' or ')}`);
}

function count(name: string, value: string, least: number): number {
  const n = Number(value);
  return Number.isSafeInteger(n) && n >= least
    ? n
    : refuse(`${name} is '${value}', expected a whole number from ${least}`);
}
