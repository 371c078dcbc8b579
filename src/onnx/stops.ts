// A decoded ONNX file and what its tensors are, in; which nodes keep the gradient from which parameters, out.

import type { FileModel } from './file.ts';
import type { ParameterTable } from './roles.ts';

/** A node through which no gradient goes, though parameters come before it. */
export interface Stop {
  readonly operator: string;
  readonly node: string;
  readonly parameters: readonly string[];
}

/**
 * Roundings and choices: where a model was trained through them, by a straight-through estimator, the file does not say
 * so.
 */
const STOPPING: ReadonlySet<string> = new Set([
  'ArgMax',
  'ArgMin',
  'Ceil',
  'Floor',
  'Hardmax',
  'QuantizeLinear',
  'Round',
  'Sign',
]);

/** In the main graph; in the order of the nodes. */
export function stopsIn(file: FileModel, table: ParameterTable): Stop[] {
  const behind = new Map<string, ReadonlySet<string>>();
  for (const [key, tensor] of file.graph.initializers) {
    const role = table.roles.get(tensor);
    if (role?.kind === 'parameter') behind.set(key, new Set([role.name]));
  }
  return file.graph.nodes.flatMap((node): Stop[] => {
    const parameters = new Set(node.inputs.flatMap((key) => [...(behind.get(key) ?? [])]));
    const stops = STOPPING.has(node.op) && parameters.size > 0;
    const after = stops ? new Set<string>() : parameters;
    for (const key of node.outputs) behind.set(key, after);
    return stops ? [{ operator: node.op, node: node.name, parameters: [...parameters] }] : [];
  });
}
