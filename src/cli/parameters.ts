// What commands say of a foreign model's parameters: those that its file has lost, and tensors of which it is not sure
// what they are.

import { alignColumns } from '../eval/index.ts';
import { CURE } from '../onnx/index.ts';
import type { ScoringModel } from '../store/index.ts';

/**
 * Before norms are used: what was chosen, one line for all parameters that the file has lost, one for all that are
 * doubtful.
 */
export function parameterNotes(model: ScoringModel): string[] {
  const { declared, doubtful = [] } = model.parameters ?? {};
  const folded = foldedNames(model);
  const taken = doubtful.filter((d) => d.parameter).map((d) => d.name);
  const some = (names: readonly string[]) => `${names.slice(0, 4).join(', ')}${names.length > 4 ? ', …' : ''}`;
  const notes: string[] = [...(model.notes ?? [])];
  if (folded.length > 0) {
    const what = `${declared === undefined ? folded.length : `${folded.length} of ${declared}`} parameters are not in this file as they were, and are left out`;
    notes.push(`${what}: ${some(folded)}; ${CURE}`);
  }
  if (taken.length > 0) {
    notes.push(`not sure whether these are parameters: ${some(taken)}; see inspect, choose with --params`);
  }
  return notes;
}

/** Names of the parameters that the file has lost. */
export const foldedNames = (model: ScoringModel): string[] => (model.parameters?.folded ?? []).map((f) => f.name);

/** Nodes through which no gradient goes, though parameters come before them. */
export const stopsOf = (model: ScoringModel) => model.parameters?.stopped ?? [];

/** All of them with their reasons. */
export function parameterTables(model: ScoringModel): string[] {
  const { folded = [], doubtful = [] } = model.parameters ?? {};
  const tables = [
    [['not in the file', 'why'], ...folded.map((f) => [f.name, f.reason])],
    [
      ['doubtful', 'taken as', 'why'],
      ...doubtful.map((d) => [d.name, d.parameter ? 'parameter' : 'constant', d.reason]),
    ],
    [
      ['no gradient through', 'from'],
      ...stopsOf(model).map(({ operator, node, parameters }) => {
        const some = `${parameters.slice(0, 4).join(', ')}${parameters.length > 4 ? ', …' : ''}`;
        return [`${operator} '${node}'`, `${some} (trained through it? then their norms are other than in training)`];
      }),
    ],
  ];
  return tables.filter((rows) => rows.length > 1).map((rows) => alignColumns(rows));
}
