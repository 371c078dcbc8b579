// A file whose metadata name its parameters, as examples/*/fisher_ood_export.py write them, in; what its tensors are,
// out.
//
// Both are JSON lists: `fisher-ood.parameters` of initialisers, or of results of an Identity where an exporter has
// merged equal ones; `fisher-ood.stop-gradient` of values through which no gradient goes.

import { ModelError } from '../errors.ts';
import type { FileModel, FileNode, FileTensor } from './file.ts';
import { placesOf } from './places.ts';
import { type Assignment, type Detached, type Folded, graphsWithin, type Role, usesOf } from './roles.ts';

const PARAMETERS = 'fisher-ood.parameters';
const STOPPED = 'fisher-ood.stop-gradient';

export const hasDeclaration = (file: FileModel): boolean => file.notes?.[PARAMETERS] !== undefined;

/** Exactly the tensors that are named are parameters. Throws a ModelError for a list that is none. */
export function declaredParameters(file: FileModel): Assignment {
  const names = new Set(listOf(file, PARAMETERS));
  const graphs = graphsWithin(file.graph);
  const places = placesOf(file);
  const roles = new Map<FileTensor, Role>();
  const found = new Set<string>();
  for (const graph of graphs) {
    for (const [name, tensor] of graph.initializers) {
      if (tensor.dtype !== 'float' || roles.has(tensor)) continue;
      if (names.has(name)) found.add(name);
      const matters = [...(places.get(name) ?? [])].some((place) => place !== 'none' && place !== 'statistics');
      const constant: Role = { kind: 'constant', reason: 'the file does not name it as a parameter', matters };
      roles.set(tensor, names.has(name) ? { kind: 'parameter', name } : constant);
    }
  }
  const identities = new Map<FileNode, Role>();
  for (const node of file.graph.nodes) {
    const [from = '', to = ''] = [node.inputs[0], node.outputs[0]];
    const merged = node.op === 'Identity' && names.has(to) && file.graph.initializers.get(from)?.dtype === 'float';
    if (!merged) continue;
    identities.set(node, { kind: 'parameter', name: to });
    found.add(to);
  }
  const folded = [...names].flatMap((name): Folded[] => (found.has(name) ? [] : [{ name, reason: 'not in the file' }]));
  return {
    roles,
    tensors: new Map(),
    operands: new Map(),
    identities,
    folded,
    declared: names.size,
  };
}

/**
 * Operands through which no gradient goes, as the metadata say. Throws a ModelError for a value that the file does not
 * have.
 */
export function stopped(file: FileModel): Map<FileNode, Detached> {
  const uses = usesOf(file.graph);
  const made = new Set(graphsWithin(file.graph).flatMap(({ nodes }) => nodes.flatMap((node) => node.outputs)));
  const operands = new Map<FileNode, Set<number>>();
  for (const name of listOf(file, STOPPED)) {
    if (!made.has(name)) throw new ModelError(`metadata '${STOPPED}' name '${name}', which no node of the file gives`);
    for (const { node, operand } of uses.get(name) ?? []) {
      operands.set(node, (operands.get(node) ?? new Set()).add(operand));
    }
  }
  return new Map([...operands].map(([node, some]) => [node, { operands: some, whole: true }]));
}

function listOf(file: FileModel, key: string): readonly string[] {
  const text = file.notes?.[key];
  if (text === undefined) return [];
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    list = undefined;
  }
  if (Array.isArray(list) && list.every((name): name is string => typeof name === 'string')) return list;
  throw new ModelError(
    `metadata '${key}' are ${text.slice(0, 40)}, expected a JSON list of names, such as ["a.weight"]`,
  );
}
