// One configuration in; whether the import agrees with ONNX Runtime's own kernel on it, refuses it, or differs, out.
// The import is tried both ways it is used: by the float64 rules, and lowered for two examples at once.

import * as ort from 'onnxruntime-node';
import { ModelError } from '../../src/errors.ts';
import { inputsOf, interpret, nameOf, type Value } from '../../src/graph/index.ts';
import { lower } from '../../src/lower/index.ts';
import { decode, encode, type ImportedModel, importModel } from '../../src/onnx/index.ts';
import { add, reduceSum, toFloat } from '../../src/ops/index.ts';
import { sameShape, shapeText, sizeOf } from '../../src/tensor/shape.ts';
import { type Configuration, type Element, exampleModel, fedAs, outputNames, runtimeModel } from './configuration.ts';

export type Outcome =
  | { readonly kind: 'match' }
  /** ONNX Runtime has no kernel for it, or takes it for invalid. */
  | { readonly kind: 'runtime refuses'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'differs'; readonly detail: string };

interface Imported {
  readonly values: readonly Value[];
  readonly weights: ImportedModel['weights'];
}

interface Result {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Relative accuracy of a type's arithmetic, with room for sums of some dozen terms in another order. */
const accuracy = (c: Configuration): number => {
  const all = c.operands.map((operand) => operand?.element);
  const to = c.attrs?.to;
  if (all.includes('bfloat16') || to === 16) return 4e-2;
  return all.includes('float16') || to === 10 ? 1e-2 : c.op === 'Resize' || c.op === 'Upsample' ? 2e-4 : 4e-5;
};

export async function compare(c: Configuration): Promise<Outcome> {
  let expected: (readonly Result[])[];
  try {
    expected = await runtimeResults(c);
  } catch (error) {
    return { kind: 'runtime refuses', reason: String(error) };
  }
  let model: Imported;
  try {
    model = imported(c);
  } catch (error) {
    if (error instanceof ModelError) return { kind: 'refused', reason: reasonOf(c, error.message) };
    return { kind: 'differs', detail: `the import throws ${error instanceof Error ? error.stack : error}` };
  }
  try {
    const detail =
      difference(c, 'float64', interpretedResults(c, model), expected) ??
      difference(c, 'lowered', await loweredResults(c, model), expected);
    return detail === undefined ? { kind: 'match' } : { kind: 'differs', detail };
  } catch (error) {
    return { kind: 'differs', detail: `the graph does not run: ${error instanceof Error ? error.message : error}` };
  }
}

/** The message without what differs from one model to the next. */
function reasonOf(c: Configuration, message: string): string {
  return message
    .replace(/^m: /, '')
    .replace(new RegExp(`^${c.op} '${c.op} (y0)?': `), '')
    .replaceAll(/ \('[^)]*'\)/g, '')
    .replaceAll(/\[[^\]]*\]/g, '[…]')
    .replaceAll(/-?\d+(\.\d+)?(e[+-]?\d+)?/g, '…');
}

const open = (bytes: Uint8Array, graphOptimizationLevel: 'disabled' | 'all') =>
  ort.InferenceSession.create(bytes, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    graphOptimizationLevel,
  });

const fed = (data: readonly number[], shape: readonly number[], element: Element): ort.Tensor =>
  fedAs(element) === 'float'
    ? new ort.Tensor('float32', Float32Array.from(data), [...shape])
    : new ort.Tensor('int64', BigInt64Array.from(data, BigInt), [...shape]);

export async function runtimeResults(c: Configuration): Promise<(readonly Result[])[]> {
  const session = await open(runtimeModel(c), 'disabled');
  try {
    const each: (readonly Result[])[] = [];
    for (const example of [0, 1] as const) {
      const feeds = Object.fromEntries(
        c.operands.flatMap((operand, i) =>
          operand?.role === 'input'
            ? [[`x${i}`, fed(operand.examples[example], operand.shape, operand.element)] as const]
            : [],
        ),
      );
      const results = await session.run(feeds);
      each.push(
        outputNames(c).map((y) => {
          const t = results[`${y}.double`]!;
          return { shape: [...t.dims], data: Float64Array.from(t.data as Float64Array) };
        }),
      );
    }
    return each;
  } finally {
    await session.release();
  }
}

/** The outputs as values of the graph, with the numbers of the parameters that they depend on. */
export function imported(c: Configuration): Imported {
  let values: readonly Value[] = [];
  const { weights } = importModel(decode(exampleModel(c), 'm'), 'm', {
    objective: (network) => {
      values = outputNames(c).map((y, k) => network.output(k, y));
      const anchor = reduceSum(network.output(values.length, 'anchor'));
      return values.reduce((sum, v) => add(sum, reduceSum(toFloat(v))), anchor);
    },
  });
  return { values, weights };
}

const numbersOf = (c: Configuration, pick: (operand: NonNullable<Configuration['operands'][number]>) => number[]) =>
  c.operands.flatMap((operand, i) => (operand?.role === 'input' ? [[`x${i}`, pick(operand)] as const] : []));

function interpretedResults(c: Configuration, { values, weights: tensors }: Imported): (readonly Result[])[] {
  const arena = values[0]!.arena;
  const outputs = Object.fromEntries(values.map((v, k) => [`y${k}`, v]));
  const weights = Object.fromEntries(Object.entries(tensors).map(([name, w]) => [name, w.data]));
  return ([0, 1] as const).map((example) => {
    const inputs = Object.fromEntries(numbersOf(c, (operand) => [...operand.examples[example]]));
    const drawn = inputsOf({ arena, outputs }).flatMap((v) =>
      v.source.kind === 'input' && v.source.from !== 'data' ? [[nameOf(v), new Float32Array(sizeOf(v.shape))]] : [],
    );
    const results = interpret({ arena, outputs }, { ...weights, ...inputs, ...Object.fromEntries(drawn) });
    return values.map((v, k) => ({ shape: v.shape, data: results[`y${k}`]!.data }));
  });
}

async function loweredResults(c: Configuration, { values, weights }: Imported): Promise<(readonly Result[])[]> {
  const arena = values[0]!.arena;
  const outputs = Object.fromEntries(values.map((v, k) => [`lowered.${k}`, toFloat(v)]));
  const model = lower({ arena, outputs }, { examples: 2, weights });
  const given = Object.fromEntries(numbersOf(c, (operand) => [...operand.examples[0], ...operand.examples[1]]));
  const session = await open(encode(model), 'all');
  try {
    const feeds = Object.fromEntries(
      model.inputs.map((x) => {
        const operand = c.operands[Number(x.name.slice(1))];
        // drawn, and not compared
        if (!operand) return [x.name, fed(new Array(sizeOf(x.dims)).fill(0), x.dims, 'float')];
        return [x.name, fed(given[x.name]!, x.dims, operand.element)];
      }),
    );
    const results = await session.run(feeds);
    return [0, 1].map((example) =>
      values.map((v, k) => {
        const all = Float64Array.from(results[`lowered.${k}`]!.data as Float32Array);
        if (v.lead === 'none') return { shape: v.shape, data: all };
        const size = all.length / 2;
        return { shape: v.shape, data: all.subarray(example * size, (example + 1) * size) };
      }),
    );
  } finally {
    await session.release();
  }
}

/** The first place where results differ, in words; undefined where they agree. */
function difference(
  c: Configuration,
  how: string,
  actual: (readonly Result[])[],
  expected: (readonly Result[])[],
): string | undefined {
  for (const [example, results] of expected.entries()) {
    for (const [k, want] of results.entries()) {
      const got = actual[example]![k]!;
      const where = `${how}, example ${example}, output ${outputNames(c)[k]}`;
      if (!sameShape(got.shape, want.shape))
        return `${where}: ${shapeText(got.shape)}, expected ${shapeText(want.shape)}`;
      if (got.data.length !== want.data.length) {
        return `${where}: ${got.data.length} numbers, expected ${want.data.length}`;
      }
      const finite = want.data.filter(Number.isFinite);
      const scale = Math.max(1e-6, Math.sqrt(finite.reduce((s, v) => s + v * v, 0) / Math.max(1, finite.length)));
      const eps = accuracy(c);
      for (const [i, w] of want.data.entries()) {
        const g = got.data[i]!;
        if (Object.is(g, w) || g === w || (Number.isNaN(g) && Number.isNaN(w))) continue;
        if (Math.abs(g - w) <= eps * (Math.abs(w) + scale)) continue;
        return `${where}, element ${i} of ${shapeText(want.shape)}: ${g}, expected ${w}`;
      }
    }
  }
  return undefined;
}
