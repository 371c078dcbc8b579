// What is said of a file's tensors: which are parameters, under which names; and where a tensor is used.

import type { FileGraph, FileNode, FileTensor } from './file.ts';
import type { Layout } from './layout.ts';

/** What a tensor of floats is. */
export type Role =
  | {
      readonly kind: 'parameter';
      readonly name: string;
      /** How the tensor is made of the parameter, where it is not the parameter itself. */
      readonly layout?: Layout;
      /** Why it might be none; `params` can leave it out. */
      readonly doubt?: string;
    }
  | {
      readonly kind: 'constant';
      readonly reason: string;
      /** Whether it might be a parameter after all: `params` can take it. */
      readonly doubtful?: boolean;
      /** Whether a gradient would go to it. */
      readonly matters?: boolean;
    };

/** A parameter that the exported model had and whose gradient norm the file does not give. */
export interface Folded {
  readonly name: string;
  readonly reason: string;
}

export interface Detached {
  readonly operands: ReadonlySet<number>;
  /** Whether the file has the detach itself, not only a trace of it. */
  readonly whole: boolean;
}

export interface ParameterTable {
  /** By tensor: initialisers of floats, of the main graph and of those within it. */
  readonly roles: ReadonlyMap<FileTensor, Role>;
  /** Numbers of parameters that are not the tensor of their role. */
  readonly tensors: ReadonlyMap<string, FileTensor>;
  /** Operands that belong to another parameter than the initialiser they name: the exporter has merged equal ones. */
  readonly operands: ReadonlyMap<FileNode, ReadonlyMap<number, Role>>;
  /** Identity nodes whose result is a parameter, or a constant, of its own. */
  readonly identities: ReadonlyMap<FileNode, Role>;
  /** Operands through which no gradient goes: the exported program detached them. */
  readonly detached: ReadonlyMap<FileNode, Detached>;
  readonly folded: readonly Folded[];
  /** How many parameters the exported model had, where the file says so. */
  readonly declared?: number;
}

/** What the tensors are, without where gradients stop. */
export type Assignment = Omit<ParameterTable, 'detached'>;

/** One operand of one node. */
export interface Use {
  readonly node: FileNode;
  readonly operand: number;
}

/** A graph and all those within its nodes. */
export function graphsWithin(graph: FileGraph): FileGraph[] {
  const inner = graph.nodes.flatMap((node) =>
    Object.values(node.attrs).flatMap((a) => (typeof a === 'object' && 'nodes' in a ? graphsWithin(a) : [])),
  );
  return [graph, ...inner];
}

/** Where each value of the main graph is used, in the order of the nodes, those of inner graphs included. */
export function usesOf(graph: FileGraph): Map<string, Use[]> {
  const uses = new Map<string, Use[]>();
  for (const { nodes } of graphsWithin(graph)) {
    for (const node of nodes) {
      for (const [operand, key] of node.inputs.entries()) {
        if (key === '') continue;
        const known = uses.get(key);
        if (known) known.push({ node, operand });
        else uses.set(key, [{ node, operand }]);
      }
    }
  }
  return uses;
}
