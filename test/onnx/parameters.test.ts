// Which tensors of an ONNX file are parameters: the rule for files that do not say it, ties, and what commands say of
// lost ones.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadOnnx } from '../../src/node/index.ts';
import { decode, importModel, parametersOf } from '../../src/onnx/index.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import { FLOAT, type GraphParts, INT64, modelBytes, node, tensor, value } from '../support/proto.ts';
import { randomData } from '../support/run.ts';

const floats = (name: string, dims: number[], values: ArrayLike<number>) =>
  tensor(name, dims, Float32Array.from(values));
const random = (name: string, dims: number[]) =>
  floats(
    name,
    dims,
    randomData(
      name,
      dims.reduce((a, b) => a * b, 1),
    ),
  );

/** y = Σ_j of the last node's result, from x [n, 4] and what `parts` says. */
const model = (parts: Pick<GraphParts, 'node' | 'initializer'>, producerName = '', more: object = {}) => {
  const last = parts.node.at(-1)!.output[0]!;
  const sum = node('ReduceSum', [last, 'axes'], ['y'], { keepdims: 0 });
  return modelBytes(
    {
      input: [value('x', FLOAT, ['n', 4]), value('ids', INT64, ['n', 3])],
      output: [value('y', FLOAT, ['n'])],
      node: [...parts.node, sum],
      initializer: [...(parts.initializer ?? []), tensor('axes', [1], BigInt64Array.of(1n))],
    },
    17,
    { producerName, ...more },
  );
};

const W = random('w', [4, 4]);
const product = node('MatMul', ['x', 'w'], ['h']);

describe('the rule for files that do not say what is a parameter', () => {
  const behind = (op: string, name: string) => [product, node(op, ['h', name], ['r'])];
  const mask = Array.from({ length: 16 }, (_, i) => Number(i % 3 === 0));
  it.each([
    ['a weight', 'v', random('v', [4, 4]), behind('MatMul', 'v'), '', true, false],
    ['an exponent', 'two', floats('two', [], [2]), behind('Pow', 'two'), '', false, true],
    [
      'an exponent that the exporter named',
      'val_0',
      floats('val_0', [], [2]),
      behind('Pow', 'val_0'),
      '',
      false,
      false,
    ],
    ['a factor', 'half', floats('half', [], [0.5]), behind('Mul', 'half'), '', false, true],
    [
      'a factor with a name from PyTorch',
      'gain',
      floats('gain', [], [0.5]),
      behind('Mul', 'gain'),
      'pytorch',
      true,
      true,
    ],
    [
      'a factor that TorchScript named',
      'onnx::Mul_7',
      random('onnx::Mul_7', [4]),
      behind('Mul', 'onnx::Mul_7'),
      'pytorch',
      false,
      true,
    ],
    ['a scale', 's', random('s', [4]), behind('Mul', 's'), '', true, false],
    ['a bias of one number', 'b', floats('b', [1], [0.3]), behind('Add', 'b'), '', true, false],
    ['zeros and ones', 'keep', floats('keep', [4, 4], mask), behind('MatMul', 'keep'), '', false, true],
    ['signs', 'sign', floats('sign', [4], [1, -1, 1, -1]), behind('Mul', 'sign'), '', false, true],
    ['a causal mask', 'causal', floats('causal', [4], [0, -Infinity, 0, 0]), behind('Add', 'causal'), '', false, true],
    ['a mask by name', 'attn_mask', random('attn_mask', [4]), behind('Mul', 'attn_mask'), 'pytorch', false, true],
    ['positions', 'steps', floats('steps', [4], [0, 0.5, 1, 1.5]), behind('Mul', 'steps'), '', false, true],
    ['a bound', 'low', floats('low', [4], [-9, -8, -9, -8]), behind('Max', 'low'), '', false, true],
    [
      'a variable of TensorFlow',
      'dense/BiasAdd/ReadVariableOp:0',
      random('dense/BiasAdd/ReadVariableOp:0', [4]),
      behind('Add', 'dense/BiasAdd/ReadVariableOp:0'),
      'tf2onnx',
      true,
      false,
    ],
    [
      'a bias that tf2onnx has packed',
      'B0__118',
      random('B0__118', [4]),
      behind('Add', 'B0__118'),
      'tf2onnx',
      true,
      true,
    ],
    [
      'a constant of TensorFlow',
      'm/add/y:0',
      random('m/add/y:0', [4]),
      behind('Mul', 'm/add/y:0'),
      'tf2onnx',
      false,
      true,
    ],
  ] as const)('%s', (_what, name, initializer, nodes, producer, parameter, doubtful) => {
    const file = decode(model({ node: [...nodes], initializer: [W, initializer] }, producer), 'm');
    const { weights, parameters } = importModel(file, 'm');
    expect(Object.keys(weights)).toEqual(parameter ? ['w', name] : ['w']);
    expect(parameters.doubtful.map((d) => d.name).filter((n) => n !== 'w')).toEqual(doubtful ? [name] : []);
  });

  // (x − mean) / √(variance + ε) written out, in the two ways that exporters have; then a scale and a shift.
  const moments = [
    node('ReduceMean', ['h'], ['mean'], { axes: [1] }),
    node('Sub', ['h', 'mean'], ['c']),
    node('Mul', ['c', 'c'], ['cc']),
    node('ReduceMean', ['cc'], ['variance'], { axes: [1] }),
    node('Add', ['variance', 'eps'], ['v']),
    node('Sqrt', ['v'], ['root']),
  ];
  const divided = [
    node('Div', ['c', 'root'], ['z']),
    node('Mul', ['z', 'val_1'], ['scaled']),
    node('Add', ['scaled', 'val_2'], ['r']),
  ];
  const multiplied = [
    node('Reciprocal', ['root'], ['inverse']),
    node('Mul', ['inverse', 'val_1'], ['m']),
    node('Mul', ['h', 'm'], ['k']),
    node('Neg', ['mean'], ['minus']),
    node('Mul', ['minus', 'm'], ['l']),
    node('Add', ['l', 'val_2'], ['shift']),
    node('Add', ['k', 'shift'], ['r']),
  ];
  it.each([
    ['divided by the root', divided],
    ['multiplied by its inverse', multiplied],
  ])('scale and shift of a normalisation that is written out are parameters: %s', (_what, last) => {
    const read = (size: number) => {
      const eps = floats('eps', [], [1e-5]);
      const initializer = [W, eps, random('val_1', [size]), random('val_2', [size])];
      const file = decode(model({ node: [product, ...moments, ...last], initializer }), 'm');
      return Object.keys(importModel(file, 'm').weights);
    };
    expect(read(4)).toEqual(['w', 'val_1', 'val_2']);
    expect(read(1)).toEqual(['w']); // a factor and an offset of one number
  });

  it('to jax2onnx no tensor has a name: zeros in place of a bias are none', () => {
    const nodes = [node('Gemm', ['x', 'w', 'dot_bias_0'], ['h']), node('Gemm', ['h', 'const_3', 'const_4'], ['r'])];
    const zeros = floats('dot_bias_0', [4], [0, 0, 0, 0]);
    const initializer = [W, zeros, random('const_3', [4, 4]), random('const_4', [4])];
    const of = (producer: string) =>
      Object.keys(importModel(decode(model({ node: nodes, initializer }, producer), 'm'), 'm').weights);
    expect(of('jax2onnx')).toEqual(['w', 'const_3', 'const_4']);
    expect(of('')).toEqual(['w', 'dot_bias_0', 'const_3', 'const_4']);
  });

  it.each([
    ['l.weight', 'pytorch', []],
    ['l.projection', 'pytorch', ['l.projection']],
    ['l.projection', '', []],
  ])(
    'a name that a model gives itself may be that of a buffer where TorchScript wrote the file: %s by %j',
    (name, producer, doubtful) => {
      const nodes = [node('MatMul', ['x', name], ['h'])];
      const file = decode(model({ node: nodes, initializer: [random(name, [4, 4])] }, producer), 'm');
      const { weights, parameters } = importModel(file, 'm');
      expect(Object.keys(weights)).toEqual([name]);
      expect(parameters.doubtful.map((d) => d.name)).toEqual(doubtful);
    },
  );

  it('the vectors of the first spectral_norm are none', () => {
    const nodes = [
      node('MatMul', ['x', 'l.weight_orig'], ['h']),
      node('Mul', ['h', 'l.weight_u'], ['k']),
      node('Mul', ['k', 'l.weight_v'], ['r']),
    ];
    const initializer = [random('l.weight_orig', [4, 4]), random('l.weight_u', [4]), random('l.weight_v', [4])];
    const file = decode(model({ node: nodes, initializer }, 'pytorch'), 'm');
    expect(Object.keys(importModel(file, 'm').weights)).toEqual(['l.weight_orig']);
  });

  it('a table of rows is a parameter, a list of numbers is none', () => {
    const read = (table: ReturnType<typeof floats>) => {
      const nodes = [node('Gather', [table.name, 'ids'], ['rows']), node('Flatten', ['rows'], ['flat']), product];
      const all = [...nodes, node('Concat', ['flat', 'h'], ['c'], { axis: 1 })];
      return Object.keys(importModel(decode(model({ node: all, initializer: [W, table] }), 'm'), 'm').weights);
    };
    expect(read(random('table', [5, 2]))).toEqual(['w', 'table']);
    expect(read(random('schedule', [5]))).toEqual(['w']);
  });

  it('a mask within an expression of weights is none, the weight is one', () => {
    const keep = floats('keep', [4, 4], mask);
    const nodes = [node('Mul', ['w', 'keep'], ['masked']), node('MatMul', ['x', 'masked'], ['h'])];
    const { weights } = importModel(decode(model({ node: nodes, initializer: [W, keep] }), 'm'), 'm');
    expect(Object.keys(weights)).toEqual(['w']);
  });

  it('a regular expression takes what is doubtful, and leaves all else', () => {
    const file = () => decode(model({ node: behind('Mul', 'half'), initializer: [W, floats('half', [], [0.5])] }), 'm');
    const trained = (params: RegExp) => importModel(file(), 'm', { params }).parameters.doubtful;
    expect(trained(/half/)).toEqual([{ name: 'half', parameter: true, reason: 'a single number' }]);
    expect(trained(/w/)).toEqual([{ name: 'half', parameter: false, reason: 'a single number' }]);
  });

  it('where nothing is left, the first doubtful one is named', () => {
    const bytes = model({ node: [node('Mul', ['x', 'half'], ['h'])], initializer: [floats('half', [], [0.5])] });
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(
      /depends on no parameters: 'half' is taken for a constant \(a single number\); `params` takes it/,
    );
  });
});

describe('tensors with the same numbers', () => {
  const transposed = (name: string) => {
    const data = randomData('w', 16);
    return floats(
      name,
      [4, 4],
      data.map((_, i) => data[(i % 4) * 4 + Math.floor(i / 4)]!),
    );
  };
  const two = (second: ReturnType<typeof floats>, producer: string, first = W) => {
    const nodes = [product, node('MatMul', ['h', second.name], ['r'])];
    return Object.keys(
      importModel(decode(model({ node: nodes, initializer: [first, second] }, producer), 'm'), 'm').weights,
    );
  };

  it('are one parameter, transposed or not', () => {
    expect(two(transposed('onnx::MatMul_9'), 'pytorch')).toEqual(['w']);
    expect(two(transposed('head'), '')).toEqual(['w']);
    expect(two(floats('onnx::MatMul_9', [4, 4], randomData('w', 16)), 'pytorch')).toEqual(['w']);
  });

  it('are two where PyTorch named both, or where all numbers are equal', () => {
    expect(two(transposed('head'), 'pytorch')).toEqual(['w', 'head']);
    const equal = new Float32Array(16).fill(0.5);
    expect(two(floats('onnx::MatMul_9', [4, 4], equal), 'pytorch', floats('w', [4, 4], equal))).toEqual([
      'w',
      'onnx::MatMul_9',
    ]);
  });

  it.each([
    ['b.weight', 'pytorch', ['a.weight', 'b.weight']],
    ['/Identity_output_0', 'pytorch', ['a.weight']],
    ['b.weight', '', ['a.weight', 'b.weight']],
    ['copy', '', ['a.weight']],
    ['b.weight', 'jax2onnx', ['a.weight']],
  ])('through an Identity named %s by %j', (to, producer, names) => {
    const nodes = [
      node('Identity', ['a.weight'], [to]),
      node('MatMul', ['x', 'a.weight'], ['h']),
      node('MatMul', ['h', to], ['r']),
    ];
    const file = decode(model({ node: nodes, initializer: [random('a.weight', [4, 4])] }, producer), 'm');
    expect(Object.keys(importModel(file, 'm').weights)).toEqual(names);
  });
});

const exporters = fileURLToPath(new URL('exporters', import.meta.url));

describe('parameters that a file has lost', () => {
  const place = (name: string) => join(exporters, `${name}.onnx`);

  it('are listed by inspect, with the reason and the cure', async () => {
    const { code, stdout } = await runCli('inspect', place('parameter-partly-folded-dynamo'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^k +computed into the constant 'sub'$/m);
    expect(stdout).toMatch(
      /^1 of 3 parameters .*: k; export with torch\.onnx\.export\(…, dynamo=True, optimize=False\)$/m,
    );
    const json = JSON.parse((await runCli('inspect', place('parameter-partly-folded-dynamo'), '--json')).stdout);
    expect(json).toMatchObject({ declared: 3, folded: ['k'], doubtful: [] });
  });

  it('are listed by features and fit', async () => {
    await inTemporaryFolder(async (dir) => {
      const rows = join(dir, 'x.json');
      const data = join(exporters, 'parameter-partly-folded-dynamo.inputs.npz');
      const features = await runCli(
        'features',
        place('parameter-partly-folded-dynamo'),
        '--data',
        data,
        '--out',
        rows,
        '--json',
      );
      expect(JSON.parse(features.stdout).folded).toEqual(['k']);
      expect(features.stderr).toMatch(/1 of 3 parameters/);
      const out = join(dir, 'd.json');
      const fit = await runCli(
        'fit',
        place('parameter-partly-folded-dynamo'),
        '--data',
        data,
        '--group',
        '1',
        '--out',
        out,
        '--json',
      );
      expect(JSON.parse(fit.stdout).folded, fit.stderr).toEqual(['k']);
    });
  });

  it('are left out where TorchScript computed a multiple or a masked copy of them', () => {
    const data = randomData('w', 16);
    for (const f of [(x: number) => x / 2, (x: number, i: number) => (i % 3 === 0 ? 0 : x)]) {
      const part = floats('onnx::MatMul_9', [4, 4], data.map(f));
      const nodes = [product, node('MatMul', ['h', 'onnx::MatMul_9'], ['r'])];
      const bytes = model({ node: nodes, initializer: [W, part] }, 'pytorch');
      const { weights, parameters } = importModel(decode(bytes, 'm'), 'm');
      expect(Object.keys(weights)).toEqual(['onnx::MatMul_9']);
      expect(parameters.folded).toEqual([{ name: 'w', reason: "a part of it is computed into 'onnx::MatMul_9'" }]);
    }
  });

  it('are refused where all that is left of a detach is a trace', async () => {
    const { code, stderr } = await runCli('inspect', place('detach_mid.b'));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /the exported program detaches 'tanh', and the file has only a trace of it; export with .*optimize=False/,
    );
  });

  it('are named where no other is left', async () => {
    const { code, stdout, stderr } = await runCli('inspect', place('batchnorm_fused'), '--json');
    expect(code).toBe(1);
    expect(JSON.parse(stdout).folded).toEqual(['c.weight', 'c.bias', 'bn.weight', 'bn.bias']);
    expect(stderr).toMatch(/all 4 are lost, the first, 'c\.weight', fused with others into Conv .*optimize=False/);
  });
});

describe('PyTorch’s names and shapes', () => {
  const parametersIn = async (name: string) => {
    const { stdout } = await runCli('inspect', join(exporters, `${name}.onnx`), '--json');
    const { parameters } = JSON.parse(stdout) as { parameters: { name: string; shape: number[] }[] };
    return Object.fromEntries(parameters.map((p) => [p.name, p.shape]));
  };

  it('come back where the file has a copy in another shape', async () => {
    expect(await parametersIn('groupnorm_reshaped')).toMatchObject({ 'n.weight': [4], 'n.bias': [4] });
    expect(await parametersIn('tied_weight_split')).toEqual({ 'wte.weight': [8, 4] });
    expect(await parametersIn('rnn_bias_partly_folded')).toMatchObject({ 'r.weight_ih_l0': [4, 3] });
  });
});

describe('a rounding that parameters go through', () => {
  it('is named by inspect, with the parameters that get no gradient there', async () => {
    await inTemporaryFolder(async (dir) => {
      const nodes = [product, node('Round', ['h'], ['q']), node('MatMul', ['q', 'v'], ['r'])];
      await writeFile(join(dir, 'm.onnx'), model({ node: nodes, initializer: [W, random('v', [4, 4])] }));
      const { stdout } = await runCli('inspect', join(dir, 'm.onnx'));
      expect(stdout).toMatch(/^Round 'Round q' +w \(trained through it\?/m);
      const json = JSON.parse((await runCli('inspect', join(dir, 'm.onnx'), '--json')).stdout);
      expect(json.stopped).toEqual([{ operator: 'Round', node: 'Round q', parameters: ['w'] }]);
    });
  });
});

describe('what the file does not say and options do', () => {
  const nodes = [
    product,
    node('Tanh', ['h'], ['t']),
    node('MatMul', ['t', 'v'], ['m']),
    node('Mul', ['m', 'x'], ['r']),
  ];
  const bytes = model({ node: nodes, initializer: [W, random('v', [4, 4])] });
  const norms = async (dir: string, ...options: string[]) => {
    await writeFile(join(dir, 'm.onnx'), bytes);
    return JSON.parse((await runCli('inspect', join(dir, 'm.onnx'), '--json', ...options)).stdout) as {
      hash: string;
      parameters: { name: string }[];
    };
  };

  it('stops gradients at a value, freezes parameters, and makes another model', async () => {
    await inTemporaryFolder(async (dir) => {
      const plain = await norms(dir);
      const stopped = await norms(dir, '--stop-gradient', 't');
      const frozen = await norms(dir, '--frozen', '^v$');
      expect(plain.parameters.map((p) => p.name)).toEqual(['w', 'v']);
      expect(stopped.parameters.map((p) => p.name)).toEqual(['v']);
      expect(frozen.parameters.map((p) => p.name)).toEqual(['w']);
      expect(new Set([plain.hash, stopped.hash, frozen.hash]).size).toBe(3);
      const { code, stderr } = await runCli('inspect', join(dir, 'm.onnx'), '--stop-gradient', 'none');
      expect(code).toBe(1);
      expect(stderr).toMatch(/no node gives 'none', through which no gradient is to go/);
    });
  });
});

describe('the hash of a model', () => {
  const hashOf = (bytes: Uint8Array) =>
    inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'm.onnx'), bytes);
      const { hash, parameters } = await loadOnnx(join(dir, 'm.onnx'));
      return { hash, reading: parameters!.reading };
    });

  it('is what it was where a file is read as it was, and another where it is not', async () => {
    const plain = await hashOf(model({ node: [product], initializer: [W] }));
    expect(plain.reading).toBe('');
    const powers = [product, node('Pow', ['h', 'two'], ['r'])];
    const { reading } = await hashOf(model({ node: powers, initializer: [W, floats('two', [], [2])] }));
    expect(reading).toBe('[["two",""]]');
  });
});

describe('damaged notes', () => {
  it('say nothing, and break nothing', () => {
    const bytes = model({ node: [product], initializer: [W] }, 'pytorch');
    const file = decode(bytes, 'm');
    const notes = { 'pkg.torch.export.ExportedProgram.graph_signature': "p_w: PARAMETER target='w" };
    const { folded } = parametersOf({ ...file, graph: { ...file.graph, notes } });
    expect(folded).toEqual([]);
  });
});
