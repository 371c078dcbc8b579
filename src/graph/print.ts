// A graph as text, one value a line: for people, and for golden files.

import { shapeText } from '../tensor/shape.ts';
import { type Graph, reachable, type Value } from './value.ts';

/** Lists inputs, parameters, constants and nodes in topological order, then the outputs. */
export function print(graph: Graph): string {
  const values = reachable(Object.values(graph.outputs));
  const number = new Map(values.map((v, i) => [v, i])); // dense numbers: independent of what else the arena holds
  const ref = (v: Value) =>
    v.source.kind === 'input' || v.source.kind === 'param' ? v.source.name : `%${number.get(v)}`;
  const lines = values.map((v) => `${ref(v)}: ${typeText(v)} = ${sourceText(v, ref)}`);
  const outputs = Object.entries(graph.outputs).map(([name, v]) => `return ${name} = ${ref(v)}`);
  return `${[...lines, ...outputs].join('\n')}\n`;
}

function typeText(v: Value): string {
  const dtype = v.dtype === 'float' ? '' : v.dtype;
  const lead = v.lead === 'none' ? '' : v.lead === 'example' ? 'n×' : 'm×';
  return `${lead}${dtype}${shapeText(v.shape)}`;
}

function sourceText(v: Value, ref: (v: Value) => string): string {
  const s = v.source;
  switch (s.kind) {
    case 'input':
      return s.from === 'data' ? 'input' : `input ${s.from}`;
    case 'param':
      return s.trainable ? 'param' : 'buffer';
    case 'constant': {
      const shown = Array.from(s.data.subarray(0, 6), (x) => String(Number(x.toPrecision(7)))).join(' ');
      return `constant ${shown}${s.data.length > 6 ? ' …' : ''}`;
    }
    case 'node': {
      const attrs = Object.entries(s.attrs).map(([k, a]) => `${k}=${JSON.stringify(a)}`);
      return [s.op.name, ...s.inputs.map(ref), ...attrs].join(' ');
    }
  }
}
