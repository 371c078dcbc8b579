// A thread in which one session of ONNX Runtime lives, since the runtime's `run` holds the thread that calls it. In
// JavaScript, because Node starts a worker of it as it is, from the source as well as from what is built.
// @ts-check

import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';

/** @typedef {{ readonly type: string, readonly data: unknown, readonly dims: readonly number[] }} Plain */
/** @typedef {Readonly<Record<string, Plain>>} Tensors */
/**
 * @typedef {{ readonly id: number, readonly call: 'open', readonly model: Uint8Array | string, readonly options: object }
 *   | { readonly id: number, readonly call: 'run', readonly feeds: Tensors, readonly outputs: readonly string[] }
 *   | { readonly id: number, readonly call: 'release' }} Call
 */

const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
/** 0: nothing is going on; 1: the runtime is at work; 2: nothing may begin any more. */
const state = new Int32Array(workerData);
/** @type {ort.InferenceSession | undefined} */
let session;

/**
 * Gives back the memory of this thread's copy at once (`engine/free.ts`).
 *
 * @param {Uint8Array | string} model
 */
function free(model) {
  if (typeof model === 'string') return;
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.postMessage(undefined, [/** @type {ArrayBuffer} */ (model.buffer)]);
  port1.close();
}

/** @param {Call} call */
async function answer(call) {
  if (call.call === 'open') {
    session = await ort.InferenceSession.create(/** @type {Uint8Array} */ (call.model), call.options);
    free(call.model);
    const { inputNames, outputNames, inputMetadata, outputMetadata } = session;
    return { inputNames, outputNames, inputMetadata, outputMetadata };
  }
  if (call.call === 'release') return session?.release();
  const feeds = Object.entries(call.feeds).map(([name, { type, data, dims }]) => [
    name,
    new ort.Tensor(/** @type {'float32'} */ (type), /** @type {Float32Array} */ (data), dims),
  ]);
  const found = await /** @type {ort.InferenceSession} */ (session).run(Object.fromEntries(feeds), [...call.outputs]);
  return Object.fromEntries(Object.entries(found).map(([name, { type, data, dims }]) => [name, { type, data, dims }]));
}

/** One call after the other. */
let last = Promise.resolve();
port.on('message', (/** @type {Call} */ call) => {
  last = last.then(async () => {
    if (Atomics.compareExchange(state, 0, 0, 1) !== 0) return; // the process ends
    try {
      const result = await answer(call);
      port.postMessage({ id: call.id, result });
    } catch (error) {
      port.postMessage({ id: call.id, error: error instanceof Error ? error.message : String(error) });
    } finally {
      Atomics.store(state, 0, 0);
      Atomics.notify(state, 0);
    }
  });
});
