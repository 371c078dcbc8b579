// Files whose own metadata name their parameters and where gradients stop: exactly these are parameters, whatever the
// tensors look like.

import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/autodiff/index.ts';
import { nameOf, paramsOf } from '../../src/graph/index.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { create, StringStringEntryProtoSchema } from '../../src/onnx/proto.ts';
import { FLOAT, type GraphParts, modelBytes, node, tensor, value } from '../support/proto.ts';
import { randomData } from '../support/run.ts';

const PARAMETERS = 'fisher-ood.parameters';
const STOPPED = 'fisher-ood.stop-gradient';

const random = (name: string, ...dims: number[]) =>
  tensor(
    name,
    dims,
    Float32Array.from(
      randomData(
        name,
        dims.reduce((a, b) => a * b, 1),
      ),
    ),
  );

/** Σ of the last node's result, from x [n, 4]. */
function read(parts: Pick<GraphParts, 'node' | 'initializer'>, notes: Readonly<Record<string, string>>) {
  const sum = node('ReduceSum', [parts.node.at(-1)!.output[0]!, 'axes'], ['y'], { keepdims: 0 });
  const bytes = modelBytes(
    {
      input: [value('x', FLOAT, ['n', 4])],
      output: [value('y', FLOAT, ['n'])],
      node: [...parts.node, sum],
      initializer: [...(parts.initializer ?? []), tensor('axes', [1], BigInt64Array.of(1n))],
    },
    17,
    {
      producerName: 'pytorch',
      metadataProps: Object.entries(notes).map(([key, text]) =>
        create(StringStringEntryProtoSchema, { key, value: text }),
      ),
    },
  );
  return importModel(decode(bytes, 'f.onnx'), 'f.onnx');
}

const product = node('MatMul', ['x', 'w'], ['h']);
const scaled = [product, node('Mul', ['h', 'freq'], ['s']), node('Add', ['s', 'pe'], ['r'])];
const tensors = [random('w', 4, 4), random('freq', 4), random('pe', 4)];

describe('metadata that name the parameters', () => {
  it.each([
    ['a buffer with a name like a parameter is none', ['w'], ['w']],
    ['a name that says "not learned" counts for nothing', ['w', 'pe'], ['w', 'pe']],
    ['a weight that is not named is a constant', ['freq'], ['freq']],
  ])('%s', (_what, names, expected) => {
    const { weights, parameters } = read(
      { node: scaled, initializer: tensors },
      { [PARAMETERS]: JSON.stringify(names) },
    );
    expect(Object.keys(weights)).toEqual(expected);
    expect(parameters).toMatchObject({ declared: names.length, doubtful: [], folded: [] });
  });

  it('a parameter that is not in the file is lost, and named', () => {
    const { parameters } = read({ node: scaled, initializer: tensors }, { [PARAMETERS]: '["w","norm.scale"]' });
    expect(parameters.folded).toEqual([{ name: 'norm.scale', reason: 'not in the file' }]);
  });

  it('a single number, and equal tensors, are what they are named', () => {
    const nodes = [
      node('MatMul', ['x', 'a'], ['h']),
      node('MatMul', ['h', 'b'], ['k']),
      node('Mul', ['k', 't'], ['r']),
    ];
    const twin = tensor('b', [4, 4], Float32Array.from(randomData('a', 16)));
    const initializer = [random('a', 4, 4), twin, random('t')];
    const { weights } = read({ node: nodes, initializer }, { [PARAMETERS]: '["a","b","t"]' });
    expect(Object.keys(weights)).toEqual(['a', 'b', 't']);
  });

  it('an Identity with a name of its own is a parameter, where an exporter has merged two', () => {
    const nodes = [
      node('Identity', ['a'], ['b']),
      node('MatMul', ['x', 'a'], ['h']),
      node('MatMul', ['h', 'b'], ['r']),
    ];
    const of = (names: string) =>
      Object.keys(read({ node: nodes, initializer: [random('a', 4, 4)] }, { [PARAMETERS]: names }).weights);
    expect(of('["a","b"]')).toEqual(['a', 'b']);
    expect(of('["a"]')).toEqual(['a']);
  });

  it('no gradient goes through a value that is named so, in files of any exporter', () => {
    const nodes = [product, node('MatMul', ['h', 'v'], ['r'])];
    const parts = { node: nodes, initializer: [random('w', 4, 4), random('v', 4, 4)] };
    const both = { [PARAMETERS]: '["w","v"]', [STOPPED]: '["h"]' };
    const learned = (notes: Readonly<Record<string, string>>) => {
      const { loss } = read(parts, notes);
      const params = paramsOf({ arena: loss.arena, outputs: { loss } });
      return gradients(loss, params).flatMap((g, k) => (g ? [nameOf(params[k]!)] : []));
    };
    expect(learned(both)).toEqual(['v']);
    expect(learned({ [STOPPED]: '["h"]' })).toEqual(['v']);
    expect(learned({})).toEqual(['w', 'v']);
  });

  it.each([
    [{ [PARAMETERS]: 'w, v' }, /f.onnx: metadata 'fisher-ood.parameters' are w, v, expected a JSON list of names/],
    [{ [PARAMETERS]: '{"w":1}' }, /expected a JSON list of names/],
    [{ [PARAMETERS]: '[1]' }, /expected a JSON list of names/],
    [{ [PARAMETERS]: '["w"]', [STOPPED]: '["k"]' }, /metadata 'fisher-ood.stop-gradient' name 'k', which no node/],
    [
      { [PARAMETERS]: '["nothing"]' },
      /depends on no parameters: all 1 are lost, the first, 'nothing', not in the file/,
    ],
  ])('%j is refused', (notes, message) => {
    expect(() => read({ node: scaled, initializer: tensors }, notes)).toThrow(message);
  });
});
