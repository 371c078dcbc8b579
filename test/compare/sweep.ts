// A count and a seed in; that many configurations over all operators, each compared, and what came of them, out.

import type { OperatorName } from '../../src/onnx/index.ts';
import type { Configuration } from './configuration.ts';
import { Draw } from './draw.ts';
import { generators, shares } from './generators/index.ts';
import { compare, type Outcome } from './run.ts';

export const operatorNames = Object.keys(generators).sort() as OperatorName[];

/** Configuration k of an operator under a seed. */
export function configurationOf(op: OperatorName, seed: number, k: number): Configuration {
  return { op, ...generators[op](new Draw(seed, op, k)) };
}

/** How many configurations each operator gets of `count`; at least `count` in all, at least one each. */
export function allot(count: number): ReadonlyMap<OperatorName, number> {
  const total = operatorNames.reduce((sum, op) => sum + (shares[op] ?? 1), 0);
  return new Map(operatorNames.map((op) => [op, Math.ceil((count * (shares[op] ?? 1)) / total)]));
}

export interface Compared {
  readonly op: OperatorName;
  readonly k: number;
  readonly configuration: Configuration;
  readonly outcome: Outcome;
}

/** Compares them one by one; `only` names the operators. */
export async function* sweep(
  count: number,
  seed: number,
  only: readonly OperatorName[] = operatorNames,
): AsyncGenerator<Compared> {
  const allotted = allot(count);
  for (const op of only) {
    for (let k = 0; k < allotted.get(op)!; k++) {
      const configuration = configurationOf(op, seed, k);
      yield { op, k, configuration, outcome: await compare(configuration) };
    }
  }
}
