// Features of learned inputs and of those of one other set in; how well a linear discriminant that has seen half of
// that set tells the other half from learned inputs out.

import { contrasts, fitContrast } from '../../densities/contrast.ts';
import { beside, meansOf, pick, type Rows } from '../../densities/rows.ts';
import { fitStandard, standardise } from '../../densities/standard.ts';
import { columnsOf, fitFloors } from '../../detectors/combined/columns.ts';
import { auroc } from '../../eval/index.ts';
import { type FeatureTable, finiteRows } from '../../features/index.ts';

/** As the combined detector's contrast clips them. */
const FURTHEST = 10;

/**
 * By group size, the mean AUROC over both halves of the other set, in order: each is scored by Fisher's discriminant
 * between the learned inputs of `fit` and the other half, shrunk as the combined detector's contrast is, on all of its
 * columns. No detector: it is told what it has to find. What it reaches is what the features hold, as far as a line
 * shows it; 0.5 of a density is then the density's fault and not the features'. Group sizes of which a half holds none
 * are left out.
 */
export function oracleOf(
  { fit, test, aspects }: { readonly fit: FeatureTable; readonly test: FeatureTable; readonly aspects: number },
  groups: readonly number[],
): (other: FeatureTable) => Readonly<Record<number, number>> {
  const finite = finiteRows(fit);
  const floors = fitFloors(finite);
  const rowsOf = (table: FeatureTable): Rows =>
    beside(
      Array.from({ length: aspects }, (_, index) =>
        columnsOf(finiteRows(table), floors, ['norms', 'radial', 'fisher', 'likelihood'], { index, of: aspects }),
      ),
    );
  const learned = rowsOf(finite);
  const standard = fitStandard(learned);
  const ready = (rows: Rows) => standardise(standard, rows, FURTHEST);
  const [own, inRows] = [ready(learned), ready(rowsOf(test))];
  return (other) => {
    const all = ready(rowsOf(other));
    const middle = Math.floor(all.n / 2);
    const halves = [range(0, middle), range(middle, all.n)].map((indices) => pick(all, indices));
    const directions = halves.map((half) => fitContrast(own, [half]));
    return Object.fromEntries(
      groups
        .filter((B) => B <= middle && B <= inRows.n)
        .map((B) => {
          const found = directions.map((direction, k) => {
            const scores = (rows: Rows) => contrasts(direction, meansOf(rows, B), B)[0]!;
            return auroc(scores(inRows), scores(halves[1 - k]!));
          });
          return [B, (found[0]! + found[1]!) / 2];
        }),
    );
  };
}

const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, k) => start + k);
