// Scores of several detectors on the sets of several models in; their AUROCs, and averages of these over pairs of sets,
// with intervals that know that pairs share inputs and that other pairs might have been taken, out.

import { quantile } from '../../eval/index.ts';
import { RandomStream } from '../../tensor/random.ts';

/** Scores by detector of the groups of one set. */
type Scores = Readonly<Record<string, readonly number[]>>;

/** One model and one group size: learned inputs against each of its other sets. */
export interface Block {
  /** Its name: draws depend on it. */
  readonly model: string;
  readonly group: number;
  readonly inScores: Scores;
  readonly ood: readonly { readonly name: string; readonly scores: Scores }[];
}

/** What one detector does on one pair of sets. */
export interface PairResult {
  readonly model: string;
  readonly ood: string;
  readonly detector: string;
  readonly auroc: number;
  /** [resamples], the same inputs drawn for every detector and, of the learned set, for every pair of the model. */
  readonly drawn: Float64Array;
}

/** A figure with the ends of its 95 % interval. */
export interface Ranged {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * All pairs and detectors of a block, each with the AUROCs of bootstrap resamples of the groups (Efron and Tibshirani
 * 1993). What is drawn depends on the seed, the names and the number of the resample alone.
 */
export function resampledPairs(block: Block, seed: number, resamples: number): PairResult[] {
  const { model, group, inScores, ood } = block;
  const counts = (name: string, n: number) => {
    const stream = new RandomStream(seed, `beyond ${model} ${group} ${name}`);
    const uniforms = new Float64Array(n);
    return Array.from({ length: resamples }, (_, r) => {
      stream.uniform(r, uniforms);
      const found = new Uint16Array(n);
      for (const u of uniforms) found[Math.floor(u * n)]!++;
      return found;
    });
  };
  const drawnIn = new Map<number, Uint16Array[]>();
  const inCounts = (n: number) => {
    const found = drawnIn.get(n) ?? counts('learned', n);
    drawnIn.set(n, found);
    return found;
  };
  return ood.flatMap(({ name, scores }) => {
    const drawnOod = new Map<number, Uint16Array[]>();
    return Object.entries(scores).map(([detector, own]): PairResult => {
      const learned = inScores[detector]!;
      const ranking = rankingOf(learned, own);
      const oodCounts = drawnOod.get(own.length) ?? counts(name, own.length);
      drawnOod.set(own.length, oodCounts);
      const each = inCounts(learned.length);
      const drawn = Float64Array.from({ length: resamples }, (_, r) => weighted(ranking, each[r]!, oodCounts[r]!));
      const auroc = weighted(ranking, ones(learned.length), ones(own.length));
      return { model, ood: name, detector, auroc, drawn };
    });
  });
}

/** The ends of the middle 95 % of what was drawn. */
export function ranged(value: number, drawn: ArrayLike<number>): Ranged {
  const sorted = Float64Array.from(drawn).sort();
  return { value, low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}

/** The mean over pairs; resamples draw the pairs, too, whose inputs were drawn before. */
export function averaged(pairs: readonly PairResult[], seed: number): Ranged {
  const stream = new RandomStream(seed, 'beyond pairs');
  const resamples = pairs[0]!.drawn.length;
  const uniforms = new Float64Array(pairs.length);
  const drawn = Float64Array.from({ length: resamples }, (_, r) => {
    stream.uniform(r, uniforms);
    return uniforms.reduce((sum, u) => sum + pairs[Math.floor(u * pairs.length)]!.drawn[r]!, 0) / pairs.length;
  });
  return ranged(pairs.reduce((sum, { auroc }) => sum + auroc, 0) / pairs.length, drawn);
}

/** How far the first is ahead of the second on the same pair, the same inputs drawn for both. */
export const difference = (a: PairResult, b: PairResult): Ranged =>
  ranged(
    a.auroc - b.auroc,
    a.drawn.map((v, r) => v - b.drawn[r]!),
  );

interface Ranking {
  /** Indices of all scores, ascending; those of the other set after those of the learned one. */
  readonly order: Uint32Array;
  /** Whether a score is that of the one before it. */
  readonly same: Uint8Array;
  readonly nIn: number;
}

function rankingOf(learned: readonly number[], other: readonly number[]): Ranking {
  const all = Float64Array.from([...learned, ...other]);
  const order = Uint32Array.from(all.keys()).sort((a, b) => all[a]! - all[b]!);
  const same = Uint8Array.from(order, (i, k) => (k > 0 && all[order[k - 1]!] === all[i] ? 1 : 0));
  return { order, same, nIn: learned.length };
}

/** The AUROC of scores that count so often, equal ones counted half. */
function weighted({ order, same, nIn }: Ranking, inCounts: Uint16Array, oodCounts: Uint16Array): number {
  let [below, pairs, tiedIn, tiedOod, totalOod] = [0, 0, 0, 0, 0];
  const settle = () => {
    pairs += tiedOod * (below + tiedIn / 2);
    below += tiedIn;
    totalOod += tiedOod;
    [tiedIn, tiedOod] = [0, 0];
  };
  for (let k = 0; k < order.length; k++) {
    if (!same[k]) settle();
    const i = order[k]!;
    if (i < nIn) tiedIn += inCounts[i]!;
    else tiedOod += oodCounts[i - nIn]!;
  }
  settle();
  return pairs / (below * totalOod);
}

const ones = (n: number): Uint16Array => new Uint16Array(n).fill(1);
