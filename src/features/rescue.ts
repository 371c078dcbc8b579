// Results of a run that left the range of float32 in; the same from a second session, whose losses are scaled, out.

import type { Value } from '../graph/index.ts';
import { lower, type PlanChoice, type WeightTensors } from '../lower/index.ts';
import { encode } from '../onnx/index.ts';
import { mul } from '../ops/index.ts';
import { openSession } from '../runtime/node.ts';
import type { Session, SessionOptions, TensorData } from '../runtime/session.ts';
import { normGraph } from './norms.ts';

// A squared norm is 0 or infinite in float32 long before the gradient itself is: from 2^-75 down and 2^64 up. A gradient is linear in the loss,
// so that of 2^±64 times the loss is 2^±64 times as long, and its squared norm, in the middle of the range, is 2^±128 times the one wanted:
// exact where it could not be had. Losses are scaled by an input, one factor for each example, so that one session serves in both directions.

const FACTOR = 2 ** 64;
/** Squared norms below this have lost digits, as sums of squares that are near the smallest numbers of float32. */
const TOO_SMALL = 2 ** -100;

const SCALE = 'fisher-ood: scale of the loss';

type Feeds = Readonly<Record<string, TensorData>>;

/** [m] and [m, L] of one run, in double precision; changed in place. */
export interface RunResults {
  readonly nll: Float64Array;
  readonly sqNorms: Float64Array;
}

export interface RescueOptions extends SessionOptions {
  /** Examples per group. */
  readonly group: number;
  readonly plan: PlanChoice;
  readonly weights: WeightTensors;
  /** The loss of one example, over a fresh arena. */
  readonly loss: () => Value;
}

export interface Rescue {
  /**
   * Puts right what the run with these feeds could not represent: squared norms that are infinite, NaN or below 2^-100, sums of losses that are
   * infinite. What is not finite even then (the gradient itself, or what leads to it, overflows) becomes NaN.
   */
  mend(results: RunResults, feeds: Feeds): Promise<void>;
  dispose(): Promise<void>;
}

/** Examples that are computed again together, but at least one group: few, since the memory comes on top of that of the runs before. */
const BATCH = 8;

/** Opens its session when it is needed first: most models never do. */
export function rescueOf(options: RescueOptions): Rescue {
  const { group } = options;
  const groups = Math.max(1, Math.floor(BATCH / group));
  let opened: Promise<Session> | undefined;

  /** The results of some groups with their losses scaled, [rows] and [rows, L]. */
  const scaled = async (feeds: Feeds, rows: readonly number[], factor: number): Promise<RunResults> => {
    opened ??= openScaled(options, groups * group);
    const session = await opened;
    const nll: number[] = [];
    const sqNorms: number[] = [];
    for (let from = 0; from < rows.length; from += groups) {
      const these = Array.from({ length: groups }, (_, k) => rows[Math.min(from + k, rows.length - 1)]!);
      const picked = Object.entries(feeds).map(([name, feed]) => [name, rowsOf(feed, these, group)] as const);
      const scale = { data: new Float32Array(groups * group).fill(factor), shape: [groups * group] };
      const found = await session.run({ ...Object.fromEntries(picked), [SCALE]: scale });
      const n = Math.min(groups, rows.length - from);
      const l = found.sqnorm!.data.length / groups;
      nll.push(...found.nll!.data.subarray(0, n));
      sqNorms.push(...found.sqnorm!.data.subarray(0, n * l));
    }
    return { nll: Float64Array.from(nll), sqNorms: Float64Array.from(sqNorms) };
  };

  return {
    async mend({ nll, sqNorms }, feeds) {
      const l = sqNorms.length / nll.length;
      const rowsWith = (wanted: (row: number) => boolean) => [...nll.keys()].filter(wanted);
      const some = (row: number, wanted: (f: number) => boolean) =>
        sqNorms.subarray(row * l, (row + 1) * l).some(wanted);

      const large = rowsWith((row) => !Number.isNaN(nll[row]) && (!finite(nll[row]!) || some(row, (f) => !finite(f))));
      if (large.length > 0) {
        const found = await scaled(feeds, large, 1 / FACTOR);
        for (const [k, row] of large.entries()) {
          if (!finite(nll[row]!)) nll[row] = found.nll[k]! * FACTOR;
          for (let j = 0; j < l; j++) {
            if (!finite(sqNorms[row * l + j]!)) sqNorms[row * l + j] = found.sqNorms[k * l + j]! * FACTOR * FACTOR;
          }
        }
      }
      const small = rowsWith((row) => some(row, (f) => f < TOO_SMALL));
      if (small.length > 0) {
        const found = await scaled(feeds, small, FACTOR);
        for (const [k, row] of small.entries()) {
          for (let j = 0; j < l; j++) {
            const value = found.sqNorms[k * l + j]! / FACTOR / FACTOR;
            if (sqNorms[row * l + j]! < TOO_SMALL && finite(value)) sqNorms[row * l + j] = value;
          }
        }
      }
      for (const values of [nll, sqNorms])
        for (const [k, v] of values.entries()) if (!finite(v)) values[k] = Number.NaN;
    },

    async dispose() {
      await (await opened)?.dispose();
    },
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

function openScaled(options: RescueOptions, examples: number): Promise<Session> {
  const { loss, group, plan, weights, ...more } = options;
  const plain = loss();
  const scale = plain.arena.input(SCALE, plain.shape);
  const { graph } = normGraph(mul(plain, scale));
  return openSession(encode(lower(graph, { examples, group, weights, plan })), more);
}
