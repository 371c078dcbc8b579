// What a pass gives for its examples in; those for which it is finite out, and the others told or refused.

import type { Dataset } from '../data/index.ts';
import { DataError } from '../errors.ts';

/** What can be done about inputs to fit on that are not finite. */
export const notFiniteCure = 'take them out of the data, or have them left out (`leaveOut: true`)';

/** An output [n, …] of a run; of what no example changes it is one row. */
interface RunOutput {
  /** As messages call it. */
  readonly what: string;
  readonly values: ArrayLike<number>;
  /** Numbers in a row. */
  readonly width: number;
}

/** Looks at the runs of one pass over a data set. */
interface OddExamples {
  /** Which of the first `count` rows of a run, whose first example is `start`, are finite in all outputs. */
  finite(start: number, count: number, outputs: readonly RunOutput[]): readonly number[];
  /**
   * After the last run: how many examples are left. Throws a DataError where there is none, or where some were left out
   * and nobody has heard of them.
   */
  left(): Promise<number>;
}

/** `onNotFinite` hears of every example that is left out; without it they are refused in the end, by name. */
export function oddExamplesOf(data: Dataset, onNotFinite?: (example: number) => void): OddExamples {
  const odd: number[] = [];
  let reason = '';
  return {
    finite(start, count, outputs) {
      return Array.from({ length: count }, (_, i) => i).filter((i) => {
        const found = outputs.find((output) => !isFiniteRow(output, i));
        if (!found) return true;
        if (odd.length === 0) reason = `${found.what} is not finite`;
        odd.push(start + i);
        onNotFinite?.(start + i);
        return false;
      });
    },
    async left() {
      if (odd.length === data.length) throw new DataError(`${data.name}: of each of ${odd.length} examples ${reason}`);
      if (odd.length === 0 || onNotFinite) return data.length - odd.length;
      const first = odd.slice(0, 10);
      const ids = await data.ids?.(first);
      const more = odd.length > first.length ? ` and ${odd.length - first.length} more` : '';
      const each = first.map((example, k) => (ids ? `${example} (${ids[k]})` : example)).join(', ');
      const which = `${odd.length === 1 ? 'example' : 'examples'} ${each}${more}`;
      throw new DataError(`${data.name}: ${which}: ${reason}; ${notFiniteCure}`);
    },
  };
}

/** In four sums side by side: a sum is finite where all that is added up is. */
function isFiniteRow({ values, width }: RunOutput, i: number): boolean {
  const start = values.length === width ? 0 : i * width;
  const end = start + width;
  let [a, b, c, d] = [0, 0, 0, 0];
  let k = start;
  for (; k + 3 < end; k += 4) {
    a += values[k]!;
    b += values[k + 1]!;
    c += values[k + 2]!;
    d += values[k + 3]!;
  }
  for (; k < end; k++) a += values[k]!;
  return Number.isFinite(a + b + c + d);
}
