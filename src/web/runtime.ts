// The runtime of a browser: sessions on onnxruntime-web, in WebAssembly. The only file that imports it.

import type * as Ort from 'onnxruntime-web/wasm';
import type { Runtime } from '../engine/index.ts';
import { fileSessionOver, inMemory, type MakeTensor, said, sessionOver } from '../engine/ort.ts';
import { FisherError } from '../errors.ts';

/** Of `webRuntime`: where WebAssembly is had from, how many threads it has, how many bytes it may take. */
export interface WebRuntimeOptions {
  /**
   * Where the .mjs and .wasm of onnxruntime-web are had from: the address of their folder, ending in a slash. Default:
   * where that library looks, beside the script that it is bundled into.
   */
  readonly assets?: string | undefined;
  /**
   * Threads; default: 1. More need a page that is isolated (`crossOriginIsolated`), and are the same for all sessions.
   */
  readonly threads?: number | undefined;
  /** Bytes that a run may take; default: the 4 GiB that WebAssembly can address. */
  readonly memory?: number | undefined;
}

/** Large, so it is loaded when something is run first. */
let loading: Promise<typeof Ort> | undefined;

/**
 * ONNX Runtime in WebAssembly. Where it looks for its files is decided by the first runtime that runs something. `open`
 * throws a FisherError for a path: a browser opens none.
 */
export function webRuntime({ assets, threads = 1, memory = 2 ** 32 }: WebRuntimeOptions = {}): Runtime {
  const load = () => {
    loading ??= import('onnxruntime-web/wasm').then((ort) => {
      ort.env.logLevel = 'error';
      ort.env.wasm.numThreads = threads;
      if (assets !== undefined) ort.env.wasm.wasmPaths = assets;
      return ort;
    });
    return loading;
  };
  const create = async (model: Uint8Array, optimise: boolean) => {
    const ort = await load();
    return ort.InferenceSession.create(model, {
      executionProviders: ['wasm'],
      graphOptimizationLevel: optimise ? 'all' : 'disabled',
      enableMemPattern: false,
    });
  };
  return {
    memory,
    mostThreads: globalThis.navigator?.hardwareConcurrency ?? 1,
    open: async (model) => sessionOver(await inMemory(() => create(model, true)), tensorsOf(await load())),
    async openFile(model) {
      if (typeof model === 'string')
        throw new FisherError(`${model}: a browser opens no paths, and no data beside a file`);
      return fileSessionOver(await said(create(model, false)), tensorsOf(await load()));
    },
  };
}

const tensorsOf =
  (ort: typeof Ort): MakeTensor =>
  (type, data, dims) =>
    new ort.Tensor(type as 'float32', data as Float32Array, dims);
