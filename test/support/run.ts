// Runs graphs on ONNX Runtime and on the float64 interpreter with the same numbers, so that tests can compare them.

import type { FloatTensor } from '../../src/engine/runtime.ts';
import { type Graph, inputsOf, interpret, nameOf, paramsOf, type Value } from '../../src/graph/index.ts';
import { type LowerOptions, lower } from '../../src/lower/index.ts';
import { openSession } from '../../src/node/runtime.ts';
import { encode } from '../../src/onnx/index.ts';
import { RandomStream } from '../../src/tensor/random.ts';
import { sameShape, shapeText, sizeOf } from '../../src/tensor/shape.ts';
import type { Weights } from '../../src/tensor/weights.ts';

/** Normal float32 numbers times `scale`, a different draw for every name. */
export function randomData(name: string, size: number, scale = 1): Float32Array {
  const data = new Float32Array(size);
  new RandomStream(11, name).normal(0, data);
  return data.map((x) => x * scale);
}

export function randomWeights(graph: Graph, scale = 0.4): Weights {
  return Object.fromEntries(
    paramsOf(graph, { all: true }).map((p) => [
      nameOf(p),
      { shape: p.shape, data: randomData(nameOf(p), sizeOf(p.shape), scale) },
    ]),
  );
}

/** n examples of every input, [n, size] each. */
export function randomInputs(graph: Graph, n: number): Record<string, Float32Array> {
  return Object.fromEntries(inputsOf(graph).map((x) => [nameOf(x), randomData(nameOf(x), n * sizeOf(x.shape))]));
}

/** One run on ONNX Runtime; inputs are [n, size] flat. */
export async function runLowered(
  graph: Graph,
  inputs: Readonly<Record<string, Float32Array>>,
  options: LowerOptions & { readonly threads?: number },
): Promise<Record<string, FloatTensor>> {
  const model = lower(graph, options);
  const session = await openSession(encode(model), { threads: options.threads ?? 1 });
  try {
    const feeds = model.inputs.map((x) => {
      const data = inputs[x.name] ?? (options.weights as Weights)[x.name]?.data;
      return [x.name, { data: data!, shape: x.dims }] as const;
    });
    const outputs = await session.run(Object.fromEntries(feeds));
    for (const { name, dims } of model.outputs) {
      if (!sameShape(outputs[name]!.shape, dims)) {
        throw new Error(`output ${name} is ${shapeText(outputs[name]!.shape)}, declared ${shapeText(dims)}`);
      }
    }
    return outputs;
  } finally {
    await session.dispose();
  }
}

/** The interpreter on each of n examples: one record of outputs per example. */
export function interpretEach(
  graph: Graph,
  inputs: Readonly<Record<string, Float32Array>>,
  n: number,
  weights: Weights,
): Record<string, Float64Array>[] {
  const bound = Object.fromEntries(Object.entries(weights).map(([name, w]) => [name, w.data]));
  return Array.from({ length: n }, (_, e) => {
    const example = Object.entries(inputs).map(([name, data]) => {
      const size = data.length / n;
      return [name, data.subarray(e * size, (e + 1) * size)] as const;
    });
    const outputs = interpret(graph, { ...bound, ...Object.fromEntries(example) });
    return Object.fromEntries(Object.entries(outputs).map(([name, y]) => [name, y.data]));
  });
}

/** Central differences of a scalar in every element of one binding, on the float64 interpreter. */
export function finiteDifferences(
  loss: Value,
  bindings: Readonly<Record<string, ArrayLike<number>>>,
  name: string,
  step = 1e-5,
): Float64Array {
  const values = Float64Array.from(bindings[name]!);
  const graph = { arena: loss.arena, outputs: { loss } };
  const at = () => interpret(graph, { ...bindings, [name]: values }).loss!.data[0]!;
  return values.slice().map((x, i) => {
    values[i] = x + step;
    const up = at();
    values[i] = x - step;
    const down = at();
    values[i] = x;
    return (up - down) / (2 * step);
  });
}
