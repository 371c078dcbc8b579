// Results of a run that left the range of float32 in; the same from a second session, whose losses are scaled, out.

import { type Feeds, openPrograms, type ProgramOptions, type Shapes, type TensorData } from '../engine/index.ts';
import { nameOf, type Value } from '../graph/index.ts';
import { estimateMemory } from '../lower/index.ts';
import { mul } from '../ops/index.ts';
import { normGraph } from './norms.ts';

// A squared norm is 0 or infinite in float32 long before the gradient itself is: from 2^-75 down and 2^64 up. A
// gradient is linear in the loss, so that of 2^±64 times the loss is 2^±64 times as long, and its squared norm, in the
// middle of the range, is 2^±128 times the one wanted: exact where it could not be had. Losses are scaled by an input,
// one factor for each example, so that one session serves in both directions.

const FACTOR = 2 ** 64;
/**
 * Squared norms below this may have lost digits, as sums and products of squares that are near the smallest numbers of
 * float32.
 */
const TOO_SMALL = 2 ** -80;

const SCALE = 'fisher-ood: scale of the loss';

/** [m] and [m, L] of one run, in double precision; changed in place. */
interface RunResults {
  readonly nll: Float64Array;
  readonly sqNorms: Float64Array;
}

export interface RescueOptions extends Pick<ProgramOptions, 'runtime' | 'weights' | 'memory' | 'threads' | 'keep'> {
  /** Examples per group. */
  readonly group: number;
  /** The loss of one example, over a fresh arena. */
  readonly loss: (shapes: Shapes) => Value;
}

export interface Rescue {
  /**
   * Puts right what the run with these feeds could not represent: squared norms that are infinite, NaN or below 2^-80,
   * sums of losses that are infinite. What is not finite even then (the gradient itself, or what leads to it,
   * overflows) becomes NaN.
   */
  mend(results: RunResults, feeds: Feeds, shapes: Shapes): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Examples that are computed again together, but at least one group: few, since the memory comes on top of that of the
 * runs before.
 */
const MOST_EXAMPLES = 8;

/**
 * Gradients are made as they are, not as products of Gram matrices: squares of activations may leave float32 where
 * those of gradients, scaled, do not.
 */
const PLAN = 'direct';

/** Opens its sessions when they are needed first: most models never do. */
export function rescueOf(options: RescueOptions): Rescue {
  const { group, memory = 2 ** 30, loss, ...more } = options;
  const programs = openPrograms(
    (shapes) => {
      const plain = loss(shapes);
      const scale = plain.arena.input(plain.arena.free(SCALE), plain.shape);
      const { graph } = normGraph(mul(plain, scale));
      const fitting = Math.min(MOST_EXAMPLES, memory / estimateMemory(graph, group, PLAN).perExample);
      return { graph, groups: Math.max(1, Math.floor(fitting / group)), input: nameOf(scale) };
    },
    { ...more, group, plan: PLAN },
  );

  /** The results of some groups with their losses scaled, [rows] and [rows, L]. */
  const scaled = async (feeds: Feeds, rows: readonly number[], factor: number, shapes: Shapes): Promise<RunResults> => {
    const program = programs.at(shapes);
    const { groups, input } = program.compiled;
    const examples = groups * group;
    const nll: number[] = [];
    const sqNorms: number[] = [];
    for (let from = 0; from < rows.length; from += groups) {
      const these = Array.from({ length: groups }, (_, k) => rows[Math.min(from + k, rows.length - 1)]!);
      const picked = Object.entries(feeds).map(([name, feed]) => [name, rowsOf(feed, these, group)] as const);
      const scale = { data: new Float32Array(examples).fill(factor), shape: [examples] };
      const found = await program.run({ ...Object.fromEntries(picked), [input]: scale }, examples);
      const n = Math.min(groups, rows.length - from);
      const l = found.sqnorm!.data.length / groups;
      nll.push(...found.nll!.data.subarray(0, n));
      sqNorms.push(...found.sqnorm!.data.subarray(0, n * l));
    }
    return { nll: Float64Array.from(nll), sqNorms: Float64Array.from(sqNorms) };
  };

  return {
    async mend({ nll, sqNorms }, feeds, shapes) {
      const l = sqNorms.length / nll.length;
      const rowsWith = (wanted: (row: number) => boolean) => [...nll.keys()].filter(wanted);
      const some = (row: number, wanted: (f: number) => boolean) =>
        sqNorms.subarray(row * l, (row + 1) * l).some(wanted);

      /** Takes what is found in place of what is `wanted` of it. */
      const again = async (rows: readonly number[], factor: number, wanted: (f: number) => boolean) => {
        if (rows.length === 0) return;
        const found = await scaled(feeds, rows, factor, shapes);
        for (const [k, row] of rows.entries()) {
          const sum = found.nll[k]! / factor;
          if (!finite(nll[row]!) && finite(sum)) nll[row] = sum;
          for (let j = 0; j < l; j++) {
            const value = found.sqNorms[k * l + j]! / factor / factor;
            if (wanted(sqNorms[row * l + j]!) && finite(value)) sqNorms[row * l + j] = value;
          }
        }
      };
      const isLarge = (row: number) => !Number.isNaN(nll[row]) && (!finite(nll[row]!) || some(row, (f) => !finite(f)));
      // The plan alone may do; a norm that is not large by itself would lose digits by being made smaller.
      await again(rowsWith(isLarge), 1, (f) => !finite(f));
      await again(rowsWith(isLarge), 1 / FACTOR, (f) => !finite(f));
      await again(
        rowsWith((row) => some(row, (f) => f < TOO_SMALL)),
        FACTOR,
        (f) => f < TOO_SMALL,
      );
      for (const values of [nll, sqNorms])
        for (const [k, v] of values.entries()) if (!finite(v)) values[k] = Number.NaN;
    },

    dispose: () => programs.dispose(),
  };
}

const finite = (x: number) => Number.isFinite(x);

/** The examples of some groups. */
function rowsOf({ data, shape }: TensorData, groups: readonly number[], group: number): TensorData {
  const size = (data.length / shape[0]!) * group;
  const picked = new (data.constructor as new (length: number) => TensorData['data'])(groups.length * size);
  for (const [k, row] of groups.entries()) picked.set(data.subarray(row * size, (row + 1) * size) as never, k * size);
  return { data: picked, shape: [groups.length * group, ...shape.slice(1)] };
}
