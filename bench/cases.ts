// What a benchmark measures: a model, what is done with it, how many examples at once; and a session that is ready to
// do it.

import { Matrix } from 'ml-matrix';
import { openProgram, type TensorData } from '../src/engine/index.ts';
import { packedBasis } from '../src/features/activation-basis.ts';
import { channelsOf } from '../src/features/activations.ts';
import { type ActivationBasis, normGraph, openBasis, splitLoss } from '../src/features/index.ts';
import { Arena, type Graph, nameOf, paramsOf, type Value } from '../src/graph/index.ts';
import { countMultiplications, type LowerOptions, lower } from '../src/lower/index.ts';
import { architecture, collectSpecs, initialWeights, type Loss, paramScope } from '../src/models/index.ts';
import { loadOnnx, summariseOnnxFile } from '../src/node/index.ts';
import { nodeRuntime } from '../src/node/runtime.ts';
import { encode } from '../src/onnx/index.ts';
import { rewrite, simplifyGraph } from '../src/ops/index.ts';
import { COMBINED_FORM } from '../src/scoring/index.ts';
import { RandomStream } from '../src/tensor/random.ts';
import { type Shape, sizeOf } from '../src/tensor/shape.ts';
import type { Weights } from '../src/tensor/weights.ts';
import { adamDefaults, flatten, openStep, type Step, trainingStep } from '../src/train/index.ts';

/** Shape of the examples for an architecture; `length` of sequences. */
const dataOf = (model: string, length = 256): Shape => (architecture(model).takes === 'bytes' ? [length] : [1, 32, 32]);

/** Examples that a training step sums the gradient over at a time. */
export function trainingPart(model: string, batch: number): number {
  const arch = architecture(model);
  const data = dataOf(model);
  return batch / trainingStep(arch, arch.configure({}, data), data, { examples: batch }).parts;
}

export interface Case {
  readonly model: string;
  /** `views`: norms with radial derivatives, Fisher metric, activations and parts of the loss, in the same pass. */
  readonly what: 'forward' | 'norms' | 'train' | 'views';
  readonly batch: number;
  readonly group: number;
  /** Sizes that are not the architecture's own defaults. */
  readonly config?: Readonly<Record<string, number>>;
  /** Bytes of a sequence; default 256. */
  readonly length?: number;
}

export interface Compiled {
  /** The ONNX model, of the whole batch. */
  readonly bytes: Uint8Array;
  readonly graph: Graph;
  readonly options: LowerOptions;
  readonly feeds: Readonly<Record<string, TensorData>>;
  /** Floating-point operations of a run: those of convolutions and matrix products, from static shapes. */
  readonly flops: number;
  readonly compileSeconds: number;
}

export interface Prepared extends Case, Pick<Compiled, 'flops' | 'compileSeconds'> {
  run(): Promise<unknown>;
  dispose(): Promise<void>;
  readonly openSeconds: number;
  readonly peakBytes: number;
  readonly milliseconds: number[];
}

/**
 * A model's loss and weights: the default sizes of an architecture at their random start (speed does not depend on the
 * values), or a file.
 */
async function subject({ model, config: sizes = {}, length }: Case): Promise<{ split: () => Loss; weights: Weights }> {
  if (model.endsWith('.onnx')) {
    const { inputs } = await summariseOnnxFile(model);
    const normal = inputs.map((v) => v.name).filter((name) => name === 'eps' || name === 'noise');
    const loaded = await loadOnnx(model, { normal });
    return { split: () => splitLoss(loaded), weights: loaded.weights };
  }
  const arch = architecture(model);
  const data = dataOf(model, length);
  const config = arch.configure(sizes, data);
  const specs = collectSpecs((scope) => void arch.loss(config, data, scope));
  const scorer = arch.scorer?.(config, {});
  return {
    split: () => {
      const scope = paramScope(new Arena());
      return scorer ? scorer.split(data, scope) : arch.loss(config, data, scope);
    },
    weights: initialWeights(specs, 0),
  };
}

export async function compile(c: Case): Promise<Compiled> {
  const { split, weights } = await subject(c);
  const loss = () => split().nll;
  const began = performance.now();
  const fed: Record<string, TensorData> = {};
  let graph: Graph;
  let options: LowerOptions = { examples: c.batch, group: c.group, weights };
  if (c.what === 'forward') {
    const nll = loss();
    graph = simplifyGraph({ arena: nll.arena, outputs: { nll } });
  } else if (c.what === 'norms') {
    graph = normGraph(loss()).graph;
  } else if (c.what === 'views') {
    const { nll, parts } = split();
    const activations = anyBasis(nll);
    graph = normGraph(nll, { radial: true, fisher: true, factored: COMBINED_FORM, activations, parts: parts() }).graph;
    // Roots of a metric, directions of activations; speed does not depend on the values.
    const all = paramsOf(graph, { all: true }).map((param) => [nameOf(param), ones(param.shape)] as const);
    const roots = all.filter(([name]) => !Object.hasOwn(weights, name));
    options = { ...options, weights: { ...weights, ...Object.fromEntries(roots) } };
  } else {
    const arch = architecture(c.model);
    const data = dataOf(c.model);
    const size = { examples: c.batch, parts: c.batch / c.group };
    const step = trainingStep(arch, arch.configure(c.config ?? {}, data), data, size);
    graph = step.gradient;
    options = { ...options, weights: 'inputs' };
    Object.assign(fed, stepFeeds(step, weights));
  }
  const model = lower(graph, options);
  const bytes = encode(model);
  const compileSeconds = (performance.now() - began) / 1000;
  for (const { name, dims, dtype } of model.inputs) {
    const numbers = uniform(name, sizeOf(dims));
    // tokens
    const data = dtype === 'int64' ? BigInt64Array.from(numbers, (u) => BigInt(Math.floor(u * 256))) : numbers;
    fed[name] ??= { data, shape: dims };
  }
  const flops = 2 * c.batch * countMultiplications(graph, options.group);
  return { bytes, graph, options, feeds: fed, flops, compileSeconds };
}

/** The weights of a step, and the model's buffers. */
function stepFeeds({ layout, specs }: Pick<Step, 'layout' | 'specs'>, weights: Weights): Record<string, TensorData> {
  const buffers = specs.filter((s) => !s.trainable).map(({ name }) => [name, weights[name]!] as const);
  return { theta: { data: flatten(layout, weights), shape: [layout.size] }, ...Object.fromEntries(buffers) };
}

/** A basis for the activations of a loss, of as many directions as a detector keeps. */
function anyBasis(loss: Value): ActivationBasis {
  const [channels] = channelsOf(rewrite(loss))!.shape as [number];
  return openBasis(packedBasis(Matrix.rand(65, channels)), 'the bench');
}

const ones = (shape: Shape) => ({ shape, data: new Float32Array(sizeOf(shape)).fill(1) });

/**
 * Compiles the case and opens it as the product does; runs it until its sessions have been chosen, but at most so many
 * seconds. Without `threads` as many as the runtime takes by itself.
 */
export async function prepare(c: Case, threads?: number, seconds = 12): Promise<Prepared> {
  const before = process.memoryUsage().rss;
  const compiled = await compile(c);
  const { flops, compileSeconds } = compiled;
  const began = performance.now();
  const { settled, ...ready } = await (c.what === 'train' ? openTraining : openPass)(c, compiled, threads);
  const openSeconds = (performance.now() - began) / 1000;
  const until = performance.now() + 1000 * seconds;
  for (let i = 0; i < 2 || (!settled() && performance.now() < until); i++) await ready.run();
  const peakBytes = Math.max(0, process.memoryUsage().rss - before);
  return { ...c, ...ready, flops, compileSeconds, openSeconds, peakBytes, milliseconds: [] };
}

async function openPass({ batch, group }: Case, { graph, options, feeds }: Compiled, threads?: number) {
  const { weights } = options;
  const program = openProgram(graph, { runtime: nodeRuntime({ cache: '' }), threads, weights, batch, group });
  await program.open();
  return { run: () => program.run(feeds), settled: program.settled, dispose: program.dispose };
}

/** Whole steps, Adam included. */
async function openTraining(
  { model, config: sizes, batch }: Case,
  { feeds: { theta, ...feeds } }: Compiled,
  threads?: number,
) {
  const arch = architecture(model);
  const data = dataOf(model);
  const config = arch.configure(sizes ?? {}, data);
  const step = openStep({
    arch,
    config,
    data,
    batch,
    adam: adamDefaults,
    runtime: nodeRuntime({ cache: '' }),
    threads,
  });
  const flat = (values: Float32Array) => ({ data: values, shape: [values.length] });
  const scalar = { data: Float32Array.of(1e-4), shape: [] };
  const zeros = flat(new Float32Array(step.layout.size));
  const rest = { m: zeros, v: zeros, lr: scalar, correction1: scalar, correction2: scalar };
  await step.gradient.open();
  const run = () => step.run(theta!.data as Float32Array, feeds, rest);
  return { run, settled: step.settled, dispose: step.dispose };
}

function uniform(name: string, size: number): Float32Array {
  const out = new Float32Array(size);
  new RandomStream(0, `bench/${name}`).uniform(0, out);
  return name === 'x' ? out.map((u) => Math.floor(u * 256)) : out;
}

/** `rounds` times through all cases, after `before`: appends the milliseconds of one run to each. */
export async function measure(
  cases: readonly Prepared[],
  rounds: number,
  before: () => Promise<void> = async () => {},
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await before();
    for (const p of cases) {
      await p.run(); // untimed: the threads of the session before spin for a while, and caches are cold
      const began = performance.now();
      await p.run();
      p.milliseconds.push(performance.now() - began);
    }
  }
}

export const median = (x: readonly number[]): number => x.toSorted((a, b) => a - b)[x.length >> 1]!;
