// Values of a model's graph in; the same for every example of a data set, by forward passes alone, out.

import type { Dataset } from '../../src/data/index.ts';
import { type Rows, rowsOver } from '../../src/densities/rows.ts';
import { type Feeds, inRuns, openProgram } from '../../src/engine/index.ts';
import { ModelError } from '../../src/errors.ts';
import { withRanges } from '../../src/features/index.ts';
import { nameOf, type Value } from '../../src/graph/index.ts';
import { concat, reshape } from '../../src/ops/index.ts';
import type { Weights } from '../../src/tensor/weights.ts';
import type { Context } from './method.ts';

/**
 * Draws of a model's noise that forward passes are means over, where it has any: as many as the combined detector's.
 */
const DRAWS = 2;

export interface ForwardOptions {
  /** In place of the model's. */
  readonly weights?: Weights;
  /** Random inputs that are fed with zeros. */
  readonly silent?: readonly string[];
}

/** A graph that is ready to run. */
export interface Forward {
  /**
   * [n, p] the values of each example side by side; means over draws of the noise. Throws a ModelError where one is not
   * finite.
   */
  rows(data: Dataset): Promise<Rows>;
  dispose(): Promise<void>;
}

/** `values` are of one graph, which `loss` is the loss of, as it is written. */
export function openForward(
  { model, runtime, seed, threads }: Context,
  loss: Value,
  values: readonly Value[],
  { weights = model.weights, silent = [] }: ForwardOptions = {},
): Forward {
  const rows = concat(
    values.map((v) => reshape(v, [-1])),
    0,
  );
  const { graph, check } = withRanges({ arena: loss.arena, outputs: { rows } }, loss);
  const program = openProgram(graph, { runtime, weights, threads });
  const draws = program.inputs.some((input) => isRandom(input) && !silent.includes(nameOf(input))) ? DRAWS : 1;
  const samples = Array.from({ length: draws }, (_, k) => k);
  const [p] = rows.shape as [number];
  return {
    async rows(data) {
      const out = new Float64Array(data.length * p);
      const size = Math.max(1, Math.floor(program.sizeFor(data.length * draws) / draws));
      for await (const { batch, count } of inRuns(data, size)) {
        const feeds = silenced(program.feeds(batch, { group: 1 }, seed, samples), silent);
        const found = await program.run(feeds, size * draws);
        check(found, count, data.name, batch.start);
        addMeans(out.subarray(batch.start * p, (batch.start + count) * p), found.rows!.data, size * p, draws);
      }
      const odd = out.findIndex((v) => !Number.isFinite(v));
      if (odd >= 0)
        throw new ModelError(`${data.name}: value ${odd % p} of input ${Math.floor(odd / p)} is ${out[odd]}`);
      return rowsOver(out, p);
    },
    dispose: () => program.dispose(),
  };
}

const isRandom = ({ source }: Value): boolean => source.kind === 'input' && source.from !== 'data';

function silenced(feeds: Feeds, silent: readonly string[]): Feeds {
  const zeros = silent.map((name) => {
    const { data, shape } = feeds[name]!;
    return [name, { data: new Float32Array(data.length), shape }] as const;
  });
  return { ...feeds, ...Object.fromEntries(zeros) };
}

/** Draws come one after the other, `stride` numbers apart. */
function addMeans(out: Float64Array, found: ArrayLike<number>, stride: number, draws: number): void {
  for (let k = 0; k < draws; k++) for (let i = 0; i < out.length; i++) out[i]! += found[k * stride + i]! / draws;
}
