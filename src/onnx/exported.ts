// The notes of PyTorch's exporter on nodes and values, in; the traced program's parameters, operations and operands,
// out.

import type { FileModel, FileNode } from './file.ts';
import type { Detached } from './roles.ts';

export const SIGNATURE = 'pkg.torch.export.ExportedProgram.graph_signature';
export const KIND = 'pkg.torch.export.graph_signature.InputSpec.kind';
export const PLACEHOLDER = 'pkg.torch.onnx.original_node_name';
export const FOLDED_FROM = 'pkg.onnxscript.optimizer.folded_from';
export const RULE = 'pkg.onnxscript.rewriter.rule_name';
export const FX = 'pkg.torch.onnx.fx_node';
const SCOPES = 'pkg.torch.onnx.name_scopes';

export const hasSignature = (file: FileModel): boolean => file.graph.notes?.[SIGNATURE] !== undefined;

/** A parameter of the exported module. */
export interface Param {
  /** PyTorch's name: of those of a tied parameter, the first. */
  readonly name: string;
  /** In the traced program. */
  readonly placeholder: string;
}

/** `aten.linear.default`. */
export function targetOf(node: FileNode): string {
  return /target=torch\.ops\.([\w.]+)/.exec(node.notes?.[FX] ?? '')?.[1] ?? '';
}

/**
 * A detach is an Identity that says so. The optimiser takes it out; then the node after it still says that it takes the
 * detached value, and is given another that it says nothing of. That is a trace, no more: the optimiser may have merged
 * nodes that only the detach told apart.
 */
export function detachedOperands(file: FileModel): Map<FileNode, Detached> {
  const found = new Map<FileNode, Detached>();
  const makers = new Map(file.graph.nodes.flatMap((node) => node.outputs.map((key) => [key, node] as const)));
  for (const node of file.graph.nodes) {
    if (/^aten\.detach(_copy)?\b/.test(targetOf(node)) && node.op === 'Identity') {
      found.set(node, { operands: new Set([0]), whole: true });
      continue;
    }
    const said = fxOperands(node);
    if (!said.some((name) => /^detach(_copy)?(_\d+)?$/.test(name) && !makers.has(name))) continue;
    const unsaid = [...node.inputs.entries()].filter(([, key]) => {
      const maker = makers.get(key);
      const inner = maker && maker.notes?.[FX] === node.notes?.[FX];
      const floats = maker || file.graph.initializers.get(key)?.dtype === 'float';
      const notes = file.graph.valueNotes?.get(key);
      return floats && !inner && !said.includes(key) && !said.includes(notes?.[PLACEHOLDER] ?? key);
    });
    found.set(node, { operands: new Set(unsaid.map(([operand]) => operand)), whole: false });
  }
  return found;
}

/** `p_a_weight: PARAMETER target='a.weight'`, one a line. */
export function signatureOf(text: string): Param[] {
  const found = text.matchAll(/^(\w+): PARAMETER target=(?:'([^']*)'|"([^"]*)")/gm);
  return [...found].map(([, placeholder, single, double]) => ({
    name: (single ?? double)!,
    placeholder: placeholder!,
  }));
}

/** A Python list of texts. */
export function listOf(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => (single ?? double)!);
}

/** The values of the traced program that a node's operation takes. */
export function fxOperands(node: FileNode): string[] {
  const text = node.notes?.[FX] ?? '';
  const from = text.indexOf('args = (');
  return from < 0 ? [] : [...text.slice(from).matchAll(/%(\w+)/g)].map(([, name]) => name!);
}

/** The module a node belongs to: `h.0.attn`. */
export function moduleOf(node: FileNode): string {
  return listOf(node.notes?.[SCOPES] ?? '').at(-2) ?? '';
}

export const parentOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('.')));
export const leafOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

/**
 * A tied parameter has several names, of which the program uses one. Another one is known by its module, which uses the
 * parameter of a module elsewhere: all get the name that comes first, as in PyTorch.
 */
export function tiedTogether(params: readonly Param[], file: FileModel): Param[] {
  const users = file.graph.nodes.map((node) => ({ module: moduleOf(node), operands: fxOperands(node) }));
  const said = new Set(users.flatMap((user) => user.operands));
  const folded = new Set([...(file.graph.valueNotes?.values() ?? [])].flatMap((n) => listOf(n[FOLDED_FROM] ?? '')));
  const names = new Map(params.map((p) => [p.placeholder, p.name]));
  for (const p of params) {
    if (said.has(p.placeholder) || folded.has(p.name) || file.graph.initializers.has(p.name)) continue;
    const tied = users
      .filter((user) => user.module === parentOf(p.name))
      .flatMap((user) => params.filter((q) => user.operands.includes(q.placeholder)))
      .filter((q) => leafOf(q.name) === leafOf(p.name) && parentOf(q.name) !== parentOf(p.name));
    const [other, ...more] = new Set(tied);
    if (!other || more.length > 0) continue;
    const first = params.find((q) => [p.name, other.name, names.get(other.placeholder)].includes(q.name))!.name;
    names.set(p.placeholder, first).set(other.placeholder, first);
  }
  return params.map((p) => ({ name: names.get(p.placeholder)!, placeholder: p.placeholder }));
}
