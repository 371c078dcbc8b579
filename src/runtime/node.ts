// Sessions on onnxruntime-node. With web.ts the only files that import a runtime.

import { cpus } from 'node:os';
import * as ort from 'onnxruntime-node';
import { FisherError } from '../errors.ts';
import type { FloatTensor, Session, SessionOptions, TensorData } from './session.ts';

/** Opens a session for an ONNX model on the CPU. */
export async function openSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? cpus().length,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    enableMemPattern: false, // it would reserve the whole peak a second time, for no measurable gain in speed
  });
  return {
    run: async (feeds) => {
      const tensors = Object.fromEntries(session.inputNames.map((name) => [name, toTensor(name, feeds[name])]));
      const results = await session.run(tensors);
      return Object.fromEntries(session.outputNames.map((name) => [name, fromTensor(name, results[name])]));
    },
    dispose: () => session.release(),
  };
}

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
