// What runs an ONNX graph, whatever is behind it.

import type { Shape } from '../tensor/shape.ts';

export interface TensorData {
  readonly data: Float32Array | BigInt64Array | Uint8Array;
  readonly shape: Shape;
}

export interface FloatTensor {
  readonly data: Float32Array;
  readonly shape: Shape;
}

/** Numbers in float64, whatever type the file has them in. */
export interface NumberTensor {
  readonly data: Float64Array;
  readonly shape: Shape;
}

/** An ONNX file as somebody has made it, to be run as it is. */
export interface FileSession {
  /** Runs once, for these outputs. Throws FisherError, in the runtime's words, where that does not go. */
  run(feeds: Readonly<Record<string, NumberTensor>>, outputs: readonly string[]): Promise<Record<string, NumberTensor>>;
  dispose(): Promise<void>;
}

export interface SessionOptions {
  /** Threads inside one op; default: as many as the machine has cores. */
  readonly threads?: number;
  /** A folder in which optimised graphs are kept, so that the same one opens faster the next time; see `sessionCache`. */
  readonly cache?: string | undefined;
}

export interface Session {
  /** Runs once; all outputs are float tensors. */
  run(feeds: Readonly<Record<string, TensorData>>): Promise<Record<string, FloatTensor>>;
  /** Frees the memory, when what runs has ended; a second call does nothing. The session cannot be used afterwards: `run` throws a UsageError. */
  dispose(): Promise<void>;
}
