// A step of training that is ready to run: parts of a batch side by side, then Adam on what they add up to.

import { type Feeds, type Outputs, openProgram, type Program, type Runtime } from '../engine/index.ts';
import type { Architecture } from '../models/index.ts';
import type { Shape } from '../tensor/shape.ts';
import { type AdamOptions, type TrainingStep, trainingStep } from './optimiser.ts';

export interface Step extends Pick<TrainingStep, 'layout' | 'specs'> {
  /** Of a batch: `feeds` makes what it is fed with. */
  readonly gradient: Program;
  /**
   * The outputs of `TrainingStep.update`. `examples`: feeds of a whole batch and the model's buffers; `rest`: what the
   * update takes besides theta and what the parts add.
   */
  run(theta: Float32Array, examples: Feeds, rest: Feeds): Promise<Outputs>;
  /** Whether the fastest way to run it has been found. */
  settled(): boolean;
  dispose(): Promise<void>;
}

export interface StepOptions {
  readonly arch: Architecture<unknown>;
  readonly config: unknown;
  /** Shape of an example. */
  readonly data: Shape;
  /** Examples of a step. */
  readonly batch: number;
  readonly adam: AdamOptions;
  readonly runtime: Runtime;
  readonly threads?: number | undefined;
}

/** Throws a ModelError where a batch does not fit into the machine. Opens no session before the first step. */
export function openStep({ arch, config, data, batch, adam, ...where }: StepOptions): Step {
  const graphs = trainingStep(arch, config, data, { examples: batch }, adam);
  const { layout, specs, parts } = graphs;
  const how = { ...where, weights: 'inputs', keep: true } as const;
  const gradient = openProgram(graphs.gradient, {
    ...how,
    batch,
    group: batch / parts,
    divisible: true,
    runs: 'steps',
  });
  const update = openProgram(graphs.update, { ...how, batch: 1 });
  return {
    layout,
    specs,
    gradient,
    async run(theta, examples, rest) {
      const all = { data: theta, shape: [layout.size] };
      const added = await gradient.run({ ...examples, theta: all });
      const gradients = { data: added.gradient!.data, shape: [parts, layout.size] };
      const losses = { data: added.loss!.data, shape: [parts] };
      return update.run({ ...rest, theta: all, gradients, losses });
    },
    settled: () => gradient.settled(),
    async dispose() {
      await Promise.all([gradient.dispose(), update.dispose()]);
    },
  };
}
