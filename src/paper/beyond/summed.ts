// Scores of all models in; AUROCs with intervals, averages and controls out.

import { auroc } from '../../eval/index.ts';
import type { Costs } from './costs.ts';
import type { BeyondModel, BeyondNumbers } from './numbers.ts';
import { averaged, type Block, difference, type PairResult, type Ranged, ranged, resampledPairs } from './resampled.ts';
import { type Scores, together } from './scores.ts';

interface SetScores {
  readonly name: string;
  readonly scores: Scores;
}

/** What the experiment keeps of one model. */
export interface ModelScores extends BeyondModel {
  readonly learned: Scores;
  readonly ood: readonly (SetScores & { readonly oracle: Readonly<Record<number, number>> })[];
  readonly remade: readonly SetScores[];
  readonly costs: Costs;
}

/** More scores of the same sets. */
export interface SummedScores {
  readonly learned: Scores;
  readonly ood: SetScores[];
}

/** The scores of one model and those of groups' sums beside them; where a detector has both, its own. */
export function withGroups(model: ModelScores, { learned, ood }: SummedScores): ModelScores {
  return {
    ...model,
    learned: together([learned, model.learned]),
    ood: model.ood.map((set, k) => ({ ...set, scores: together([ood[k]!.scores, set.scores]) })),
  };
}

interface Few {
  readonly learned: Scores;
  readonly ood: readonly SetScores[];
}

/** Of one model that was tried with shuffled weights. */
export interface ControlScores extends Pick<BeyondModel, 'model' | 'family' | 'in' | 'fitted'> {
  readonly shuffled: Few;
  readonly unshuffled: Few;
}

/** A model that cannot be measured with its weights shuffled, and why. */
export interface NoControl {
  readonly model: string;
  readonly reason: string;
}

const RESAMPLES = 1000;

/** All numbers of the experiment. */
export function summed(
  models: readonly ModelScores[],
  controls: readonly (ControlScores | NoControl)[],
  { making, without, seed }: Pick<BeyondNumbers, 'making' | 'without'> & { readonly seed: number },
): BeyondNumbers {
  const found = models.flatMap((model) =>
    blocksOf(model, model.ood).map((block) => ({ model, block, ...pairsOf(block, seed) })),
  );
  const domains = [...new Set(models.map(({ domain }) => domain))].filter((domain) => domain !== 'further');
  const groups = [...new Set(found.map(({ block }) => block.group))].sort((a, b) => a - b);
  const sums = domains.flatMap((domain) =>
    groups.flatMap((group) => {
      const own = found.filter(({ model, block }) => model.domain === domain && block.group === group);
      const results = own.flatMap(({ results }) => results);
      const detectors = [...new Set(results.map(({ detector }) => detector))];
      return detectors.map((detector) => ({ domain, group, detector, results }));
    }),
  );
  return {
    models: models.map(({ learned: _, ood: __, remade: ___, costs: ____, ...rest }) => rest),
    pairs: found.flatMap(({ block: { group }, results }) =>
      results.map((result) => ({
        model: result.model,
        ood: result.ood,
        group,
        detector: result.detector,
        ...shown(ranged(result.auroc, result.drawn)),
      })),
    ),
    oracle: models.flatMap(({ model, ood }) =>
      ood.flatMap(({ name, oracle }) =>
        Object.entries(oracle).map(([B, value]) => ({ model, ood: name, group: Number(B), auroc: short(value) })),
      ),
    ),
    averages: sums.map(({ results, ...key }) => {
      const own = results.filter(({ detector }) => detector === key.detector);
      return { ...key, pairs: own.length, ...shown(averaged(own, seed)) };
    }),
    behind: sums.flatMap(({ results, ...key }) => {
      if (key.detector === 'typicality') return [];
      const differences = results
        .filter(({ detector }) => detector === key.detector)
        .map((own) => difference(sameOf('typicality', own, results), own));
      return [
        {
          ...key,
          pairs: differences.length,
          behind: differences.filter(({ value }) => value > 0).length,
          clearly: differences.filter(({ low }) => low > 0).length,
        },
      ];
    }),
    shuffled: controls.flatMap((control) => ('reason' in control ? [] : controlRows(control))),
    notShuffled: controls.flatMap((control) => ('reason' in control ? [control] : [])),
    remade: models.flatMap((model) => remadeRows(model, seed)),
    making,
    without,
    costs: models.map(({ costs }) => costs),
  };
}

const short = (v: number): number => Number(v.toFixed(5));
const shown = ({ value, low, high }: Ranged) => ({ auroc: short(value), low: short(low), high: short(high) });

/** A block for each group size that every set has groups of. */
function blocksOf({ model, learned }: Pick<ModelScores, 'model' | 'learned'>, others: readonly SetScores[]): Block[] {
  return Object.keys(learned).flatMap((key): Block[] => {
    const group = Number(key);
    const own = learned[group]!;
    const ood = others.flatMap(({ name, scores: all }) => {
      const there = Object.entries(all[group] ?? {}).filter(([detector, s]) => s.length > 0 && own[detector]?.length);
      return there.length > 0 ? [{ name, scores: Object.fromEntries(there) }] : [];
    });
    return ood.length > 0 ? [{ model, group, inScores: own, ood }] : [];
  });
}

const pairsOf = (block: Block, seed: number) => ({ results: resampledPairs(block, seed, RESAMPLES) });

/** Another detector's result on the same pair. */
const sameOf = (detector: string, { model, ood }: PairResult, results: readonly PairResult[]): PairResult =>
  results.find((other) => other.detector === detector && other.model === model && other.ood === ood)!;

function controlRows({
  model,
  in: learnedSet,
  fitted,
  shuffled,
  unshuffled,
}: ControlScores): BeyondNumbers['shuffled'] {
  return shuffled.ood.flatMap(({ name, scores }, k) =>
    Object.entries(scores).flatMap(([B, byDetector]) => {
      const group = Number(B);
      const before = unshuffled.learned[group];
      const own = unshuffled.ood[k]!.scores[group];
      const after = shuffled.learned[group];
      if (!before || !own || !after) return [];
      return Object.entries(byDetector).flatMap(([detector, values]) => {
        const lists = [values, before[detector]!, own[detector]!, after[detector]!];
        if (lists.some((list) => list.length === 0)) return [];
        return [
          {
            model,
            in: learnedSet,
            ood: name,
            group,
            detector,
            fitted,
            learned: short(auroc(before[detector]!, own[detector]!)),
            shuffled: short(auroc(after[detector]!, values)),
          },
        ];
      });
    }),
  );
}

function remadeRows(model: ModelScores, seed: number): BeyondNumbers['remade'] {
  return blocksOf(model, model.remade).flatMap((block) =>
    resampledPairs(block, seed, RESAMPLES).map((result) => {
      const { scores } = model.ood.find(({ name }) => name === result.ood)!;
      return {
        model: model.model,
        as: result.ood,
        group: block.group,
        detector: result.detector,
        ...shown(ranged(result.auroc, result.drawn)),
        foreign: short(auroc(block.inScores[result.detector]!, scores[block.group]![result.detector]!)),
      };
    }),
  );
}
