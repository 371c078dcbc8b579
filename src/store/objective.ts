// What an objective says, in; how an ONNX network that stops short of a loss is fed and turned into one, out.

import { ModelError, UsageError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import {
  alphaBars,
  aspectsAt,
  causalLmNll,
  denoisingLoss,
  elboNll,
  flowNll,
  noised,
  noiseLevel,
  type Prediction,
  scaledPixels,
  scoredSteps,
} from '../objectives/index.ts';
import { type DrawnTime, type FileInput, type FileModel, type ImportOptions, TIME } from '../onnx/index.ts';
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

/** One of several ways in which a diffusion model can be scored. */
export interface AtStep {
  readonly network: KnownNetwork;
  /** A time that is drawn elsewhere. */
  readonly held?: Readonly<Record<string, number>>;
}

/**
 * Steps at which a model can be scored, by short names: of a denoising network for which none was chosen, and of a loss
 * whose time is drawn, counted from its clean end. A time that is a real number has a thousand.
 */
export function atSteps(network: KnownNetwork, time?: DrawnTime): Readonly<Record<string, AtStep>> | undefined {
  const { objective } = network;
  if (objective?.kind === 'denoise') {
    const { kind, options } = objective;
    if (options.t !== undefined) return undefined;
    const at = (t: number) => ({ ...network, objective: { kind, options: { ...options, t: String(t) } } });
    return aspectsAt(scoredSteps(stepsOf(options)), (t) => ({ network: at(t) })).aspects;
  }
  if (!time) return undefined;
  const { name, range, clean } = time;
  const held = (value: number): AtStep => ({ network, held: { [name]: value } });
  if (!range) {
    const share = (t: number) => (clean === 'low' ? t + 0.5 : 999.5 - t) / 1000;
    return aspectsAt(scoredSteps(1000), (t) => held(share(t))).aspects;
  }
  const [low, high] = range;
  const steps = scoredSteps(high - low + 1).map((t) => (clean === 'low' ? low + t : high - t));
  return aspectsAt(steps, held).aspects;
}

const stepsOf = ({ steps = '1000' }: KnownObjective['options']): number => count('steps', steps, 1);

function denoise(
  file: FileModel,
  name: string,
  asked: KnownNetwork,
  base: ImportOptions,
  options: Readonly<Record<string, string>>,
  scaled: (x: Value) => Value,
): ImportOptions {
  const steps = stepsOf(options);
  const t = options.t === undefined ? scoredSteps(steps)[0]! : count('t', options.t, 0);
  if (t >= steps) refuse(`t=${t} is not one of the ${steps} steps`);
  const schedule = oneOf('schedule', options.schedule ?? 'linear', ['linear', 'cosine']);
  const level = noiseLevel(alphaBars(schedule, steps)[t]!);
  const predicts: Prediction = oneOf('predicts', options.predicts ?? 'noise', ['noise', 'x0', 'v']);
  const norm = oneOf('norm', options.norm ?? 'l2', ['l1', 'l2']);

  const { normal = [], uniform = [], constants = {}, integers = {} } = base;
  const taken = [...normal, ...uniform, ...Object.keys(constants), ...Object.keys(integers)];
  const left = file.graph.inputs.filter((v) => !taken.includes(v.name));
  const others = left.filter((v) => v.name !== options.time);
  const many = others.find((v) => v.dtype === 'float' && placesIn(v) > 1); // the time may come first
  const data = asked.input ?? (many ?? others[0])?.name ?? refuse(`${name} has no input for the data`);
  const rest = left.filter((v) => v.name !== data);
  const single = rest.filter((v) => placesIn(v) === 1);
  const time = options.time ?? (single.find((v) => TIME.test(v.name)) ?? single[0] ?? rest[0])?.name;
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

/** Numbers in one example as far as the file says; of a size that it leaves open, more than one. */
const placesIn = ({ shape = [] }: FileInput): number =>
  shape.slice(1).reduce((product: number, size) => product * (typeof size === 'number' ? size : 2), 1);

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
