// Sessions of ONNX Runtime in threads of their own, so that several run at the same time.

import { isMainThread, Worker } from 'node:worker_threads';
import type { OrtSession } from '../engine/ort.ts';
import { FisherError } from '../errors.ts';

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * In a worker that its owner can end at any moment there are none: the runtime aborts the process where a thread ends
 * in which one of its sessions runs.
 */
export const hasLanes = isMainThread;

/** What each lane is doing, see `lane.js`. */
const states = new Set<Int32Array>();

const CLOSED = 2;

/** Before the process ends, and with it all threads: waits for what runs, and lets nothing begin. */
function quiet(): void {
  for (const state of states) {
    while (Atomics.compareExchange(state, 0, 0, CLOSED) === 1) Atomics.wait(state, 0, 1);
  }
}

/**
 * Opens a session with the runtime's own `options` in a new thread, which ends when the session is released. `Told` is
 * what else the runtime's session says of itself.
 */
export async function openLane<Told extends object>(
  model: Uint8Array | string,
  options: object,
): Promise<OrtSession & Told> {
  const shared = new SharedArrayBuffer(4);
  const state = new Int32Array(shared);
  if (states.size === 0) process.once('exit', quiet);
  states.add(state);
  const worker = new Worker(new URL('./lane.js', import.meta.url), { workerData: shared, execArgv: [] });
  worker.unref();
  const pending = new Map<number, Pending>();
  let count = 0;
  let gone: unknown;

  const fail = (error: unknown) => {
    gone ??= error;
    for (const { reject } of pending.values()) reject(gone);
    pending.clear();
  };
  worker.on('message', ({ id, result, error }: { id: number; result: unknown; error?: string }) => {
    const call = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) worker.unref(); // what is idle does not keep the process
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error));
  });
  worker.on('error', fail);
  worker.on('exit', () => fail(new FisherError('the thread of a session has ended')));

  const call = (what: object): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (gone !== undefined) return reject(gone);
      const id = count++;
      pending.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, ...what });
    });
  const end = async () => {
    await worker.terminate();
    states.delete(state);
    if (states.size === 0) process.off('exit', quiet);
  };

  try {
    const known = (await call({ call: 'open', model, options })) as OrtSession & Told;
    return {
      ...known,
      run: async (feeds, outputs) => {
        const plain = Object.entries(feeds).map(([name, { type, data, dims }]) => [name, { type, data, dims }]);
        const found = await call({ call: 'run', feeds: Object.fromEntries(plain), outputs });
        return found as Awaited<ReturnType<OrtSession['run']>>;
      },
      release: async () => {
        await call({ call: 'release' }).catch(() => undefined);
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
