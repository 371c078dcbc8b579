// Which group sizes there are enough inputs for, known before any of them is looked at.

import type { Dataset } from '../data/index.ts';
import { LEAST_GROUPS } from '../detectors/index.ts';
import { DataError } from '../errors.ts';

/** A group size that is left out. */
export interface MissingGroup {
  readonly group: number;
  readonly reason: string;
}

/**
 * The sizes of `wanted` for which every set has at least `least` whole groups, and why the others are missing. Throws a
 * DataError where all are, and for any of those that the user `asked` for.
 */
function possible(
  wanted: readonly number[],
  asked: boolean,
  sets: readonly Pick<Dataset, 'name' | 'length'>[],
  least: number,
): { readonly groups: readonly number[]; readonly missing: readonly MissingGroup[] } {
  const missing = wanted.flatMap((group): MissingGroup[] => {
    const few = sets.find(({ length }) => Math.floor(length / group) < least);
    if (!few) return [];
    const count = Math.floor(few.length / group);
    const inputs = few.length === 1 ? '1 input, which makes' : `${few.length} inputs, which make`;
    const have = `${inputs} ${count} ${count === 1 ? 'group' : 'groups'} of ${group}`;
    return [{ group, reason: `${few.name} has ${have}, and at least ${least * group} are needed` }];
  });
  const [first] = missing;
  if (first && (asked || missing.length === wanted.length)) throw new DataError(`B = ${first.group}: ${first.reason}`);
  return { groups: wanted.filter((group) => missing.every((one) => one.group !== group)), missing };
}

/** Of `fit`: those asked for, or 1 and 5. */
export const groupsToFit = (asked: readonly number[] | undefined, data: Pick<Dataset, 'name' | 'length'>) =>
  possible(asked ?? [1, 5], asked !== undefined, [data], LEAST_GROUPS);

/** Of `eval`: those asked for, or all that are fitted. */
export const groupsToJudge = (
  asked: readonly number[] | undefined,
  fitted: readonly number[],
  sets: readonly Dataset[],
) => possible(asked ?? fitted, asked !== undefined, sets, 1);

/** For people. */
export const missingLine = ({ group, reason }: MissingGroup): string => `B = ${group} is missing: ${reason}`;
