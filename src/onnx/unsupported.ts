// A node that cannot be imported, in; one message for all such nodes of the file, with what to do about it, out.

import { type FileModel, type FileNode, operatorName } from './file.ts';
import { operators } from './operators/index.ts';
import { graphsWithin } from './roles.ts';

/** Whether there is an operator for a node, of ONNX itself. */
export const isSupported = ({ op, domain }: FileNode): boolean => domain === '' && Object.hasOwn(operators, op);

/** What to do, by the first pattern that the operator's name, with its domain, fits. */
const cures: readonly (readonly [pattern: RegExp, cure: string])[] = [
  [/^com\.(microsoft|ms)/u, 'the file was optimised for ONNX Runtime: give it as the exporter wrote it'],
  [/^ai\.onnx\.ml\./u, 'trees and other models of this kind have no gradient to measure'],
  [/training/u, 'export the model alone, without its training'],
  [
    /^(org\.pytorch\.)?aten|^(org\.pytorch\.)?_/u,
    'export it with torch.onnx.export(…, dynamo=True), which writes it in operators of ONNX',
  ],
  [/^(String|Regex|TfIdf|ImageDecoder)/u, 'do this to the data before they go to the model'],
  [
    /Integer$|^QLinear|^DynamicQuantize/u,
    'arithmetic in whole numbers has no gradient: export the model before it is quantised',
  ],
  [/\./u, 'the file would have to hold what it means, as a function'],
];

/** `first` is the node that was met; the others of the file that there is nothing for either are counted. */
export function unsupported(file: FileModel, first: FileNode): string {
  const bodies = [...file.functions.values()].map(({ nodes }) => ({ ...file.graph, nodes }));
  const nodes = [file.graph, ...bodies].flatMap(graphsWithin).flatMap((graph) => graph.nodes);
  const counts = new Map<string, number>([[operatorName(first), 0]]);
  for (const node of nodes) {
    const name = operatorName(node);
    if (!isSupported(node) && !file.functions.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const [[name, count], ...others] = [...counts] as [[string, number], ...[string, number][]];
  const times = (n: number) => (n > 1 ? ` (${n} nodes)` : '');
  const more = others.map(([other, n]) => `${other}${times(n)}`).join(', ');
  return `the operator ${name} is not supported${times(count)}${more === '' ? '' : `, nor are ${more}`}; ${cureOf(name)}`;
}

/** What to do about an operator that there is nothing for, by its name with its domain. */
export function cureOf(operator: string): string {
  return cures.find(([pattern]) => pattern.test(operator))?.[1] ?? 'docs/operators.md lists those that are';
}

/**
 * For a node that is refused, how many of the file say the same with the same attributes: what is wrong with one is
 * wrong with all.
 */
export function sameKind(file: FileModel, refused: FileNode): string {
  const text = ({ op, domain, attrs, inputs }: FileNode) =>
    JSON.stringify([op, domain, inputs.map((key) => key === ''), plain(attrs)]);
  const wanted = text(refused);
  const count = file.graph.nodes.filter((node) => node.op === refused.op && text(node) === wanted).length;
  return count > 1 ? ` (one of ${count} such nodes)` : '';
}

/** Attributes that are numbers, texts and lists of these. */
const plain = (attrs: FileNode['attrs']) =>
  Object.entries(attrs).filter(([, a]) => typeof a !== 'object' || Array.isArray(a));
