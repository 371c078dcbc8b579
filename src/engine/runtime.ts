// What runs an ONNX graph, and what else of the machine it stands for, whatever is behind it: `node/` has one, `web/`
// another.

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

export type Feeds = Readonly<Record<string, TensorData>>;
export type Outputs = Readonly<Record<string, FloatTensor>>;

/** An ONNX file as somebody has made it, to be run as it is. */
export interface FileSession {
  /** Runs once, for these outputs. Throws FisherError, in the runtime's words, where that does not go. */
  run(feeds: Readonly<Record<string, NumberTensor>>, outputs: readonly string[]): Promise<Record<string, NumberTensor>>;
  dispose(): Promise<void>;
}

/** What one run of a graph does. */
export interface Work {
  /** Steps of the graph. */
  readonly steps: number;
  /** Multiplications, in convolutions and matrix products. */
  readonly multiplications: number;
  /** Bytes that it takes. */
  readonly bytes: number;
}

export interface SessionOptions {
  /** Threads inside one op; default: as many as the machine has cores, one where a run is small. */
  readonly threads?: number | undefined;
  /**
   * Whether the same graph will be opened again by other runs of the program, so that its optimised form is worth
   * keeping. Default: no.
   */
  readonly keep?: boolean | undefined;
  /** Left out: runs are taken to be large. */
  readonly work?: Work | undefined;
  /** In a thread of its own, where the runtime has such (`lanes`): its runs do not hold the thread that calls. */
  readonly apart?: boolean | undefined;
}

/** An ONNX model that was opened by a runtime and can be run, as often as one likes. */
export interface Session {
  /** Runs once; all outputs are float tensors. */
  run(feeds: Feeds): Promise<Outputs>;
  /**
   * Frees the memory, when what runs has ended; a second call does nothing. The session cannot be used afterwards:
   * `run` throws a UsageError.
   */
  dispose(): Promise<void>;
}

/**
 * What was found out about a model and is kept for the next run of the program, by a key that says of what it is.
 * Neither method throws.
 */
export interface Findings {
  read(key: string): Promise<string | undefined>;
  write(key: string, text: string): Promise<void>;
}

/**
 * The host of all that is run: one that does something else than to open sessions differently need only wrap another.
 */
export interface Runtime {
  /** Bytes of memory that a run can have at most; Infinity where that is not known. */
  readonly memory: number;
  /** Threads that a session can be opened with at most. */
  readonly mostThreads: number;
  /** Sessions, opened `apart`, that should run at the same time at most. Left out: none is opened so. */
  readonly lanes?: number | undefined;
  /** Whether a batch is run in one piece: no caches near cores that parts of it would fit into. */
  readonly undivided?: boolean | undefined;
  /** Opens a session for a graph of our own making. Throws a ModelError where the memory does not suffice. */
  open(model: Uint8Array, options?: SessionOptions): Promise<Session>;
  /**
   * Opens a file of any making: its bytes, or its path where it has data beside it. Throws FisherError, in the
   * runtime's words, where that does not go.
   */
  openFile(model: Uint8Array | string, options?: Pick<SessionOptions, 'threads'>): Promise<FileSession>;
  /** Left out: nothing is kept. */
  readonly findings?: Findings | undefined;
}
