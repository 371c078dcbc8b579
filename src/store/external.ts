// What a model of ONNX needs of the files beside it, whatever holds them.

import { ModelError } from '../errors.ts';
import type { ExternalData } from '../onnx/index.ts';

/** The external data of one model. */
export interface ExternalStore extends ExternalData {
  /** Whether there are any. */
  readonly any: boolean;
  /** Name and SHA-256 of every file, in the order in which they were first asked for. */
  hashes(): Promise<readonly { readonly location: string; readonly sha256: string }[]>;
  /** Bytes that `eachAsOften` gives. */
  readonly bytesAsOften: number;
  /** Gives all bytes of the files, again and again as tensors lie in them. */
  eachAsOften(use: (bytes: Uint8Array) => void): void;
}

/** Of a model that came as bytes, by itself; `name` is the model's. */
export function noExternal(name: string): ExternalStore {
  const refuse = (location: string): never => {
    throw new ModelError(`${name}: external data '${location}' cannot be read: the model was given without its folder`);
  };
  return {
    any: false,
    size: refuse,
    read: refuse,
    peek: refuse,
    hashes: async () => [],
    bytesAsOften: 0,
    eachAsOften() {},
  };
}
