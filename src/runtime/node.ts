// Sessions on onnxruntime-node. With web.ts the only files that import a runtime.

import { cpus } from 'node:os';
import * as ort from 'onnxruntime-node';
import { FisherError } from '../errors.ts';
import { signature } from '../onnx/index.ts';
import { cacheEntry } from './cache.ts';
import type { FloatTensor, Session, SessionOptions, TensorData } from './session.ts';

/** Opens faster than this are not worth keeping. */
const WORTH_KEEPING = 200; // ms

/** Opens a session for an ONNX model on the CPU. */
export async function openSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const session =
    options.cache === undefined ? await create(model, options) : await cached(model, options.cache, options);
  return {
    run: async (feeds) => {
      const tensors = Object.fromEntries(session.inputNames.map((name) => [name, toTensor(name, feeds[name])]));
      const results = await session.run(tensors);
      return Object.fromEntries(session.outputNames.map((name) => [name, fromTensor(name, results[name])]));
    },
    dispose: () => session.release(),
  };
}

function create(model: Uint8Array, options: SessionOptions, more: ort.InferenceSession.SessionOptions = {}) {
  return ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? cpus().length,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    enableMemPattern: false, // it would reserve the whole peak a second time, for no measurable gain in speed
    ...more,
  });
}

async function cached(model: Uint8Array, dir: string, options: SessionOptions): Promise<ort.InferenceSession> {
  const entry = cacheEntry(dir, model, `onnxruntime ${ort.env.versions.node}`);
  const optimised = await entry.read();
  if (optimised) {
    const kept = await create(optimised, options, { graphOptimizationLevel: 'disabled' }).catch(() => undefined);
    if (kept && sameText(interfaceOf(kept), signature(model))) return kept;
    await kept?.release();
    await entry.drop();
  }
  let session: ort.InferenceSession | undefined;
  await entry.fill(async (path) => {
    const began = performance.now();
    let saved = path !== undefined;
    session = await create(model, options, path === undefined ? {} : { optimizedModelFilePath: path }).catch(
      (error) => {
        if (!saved) throw error;
        saved = false; // the disk may be full; whether the graph is at fault, the second try tells
        return create(model, options);
      },
    );
    return saved && performance.now() - began > WORTH_KEEPING;
  });
  return session!;
}

/** What a session takes and gives, in the words of `signature`. */
function interfaceOf(session: ort.InferenceSession): string[] {
  const describe = (v: ort.InferenceSession.ValueMetadata) =>
    v.isTensor ? `${v.name} ${v.type} ${v.shape.join()}` : `${v.name}, which is no tensor`;
  return [...session.inputMetadata.map(describe), '→', ...session.outputMetadata.map(describe)];
}

const sameText = (a: readonly string[], b: readonly string[]) => a.join('\n') === b.join('\n');

function toTensor(name: string, t: TensorData | undefined): ort.Tensor {
  if (!t) throw new FisherError(`input '${name}' was not given`);
  if (t.data instanceof Float32Array) return new ort.Tensor('float32', t.data, [...t.shape]);
  if (t.data instanceof BigInt64Array) return new ort.Tensor('int64', t.data, [...t.shape]);
  return new ort.Tensor('bool', t.data, [...t.shape]);
}

function fromTensor(name: string, t: ort.Tensor | undefined): FloatTensor {
  if (!t || !(t.data instanceof Float32Array))
    throw new FisherError(`output '${name}' is ${t?.type ?? 'missing'}, not float32`);
  return { data: t.data, shape: t.dims };
}
