// How an ONNX file is to be read: which inputs are what, what the loss is, and which parameters count.

import type { Arena, Value } from '../graph/index.ts';
import type { Axes } from './axes.ts';
import type { Sizes } from './sizes.ts';
import type { ParameterOptions } from './tensors.ts';

export interface ImportOptions extends ParameterOptions {
  /** The output that is the loss, [n] or [n, 1]; default the only one. */
  readonly loss?: string;
  /** Inputs drawn per example from a standard normal or from the uniform distribution on [0, 1). */
  readonly normal?: readonly string[];
  readonly uniform?: readonly string[];
  /** Inputs of whole numbers drawn per example, each from its lowest to its highest, both included. */
  readonly integers?: Readonly<Record<string, readonly [low: number, high: number]>>;
  /** Inputs that have one value for all examples. */
  readonly constants?: Readonly<Record<string, number>>;
  /**
   * What has one value for all examples though it is drawn for each: a time that is held, under the name of its draws.
   */
  readonly held?: Readonly<Record<string, number>>;
  /** Values of the main graph through which no gradient goes, by name. */
  readonly stopGradient?: readonly string[];
  /** What the network sees in place of an input, made from that input and from others that `arena` gives. */
  readonly feed?: (input: Value, arena: Arena) => Value;
  /** The axes of the file's inputs; default: as the file alone tells them. */
  readonly axes?: Axes;
  /** What the sizes are that the file leaves open. */
  readonly sizes?: Sizes;
  /**
   * How often an example is taken side by side with itself: the batch that a file is made for and cannot do without.
   */
  readonly copies?: number;
  /** The loss from what the network gives, where no output is one. */
  readonly objective?: (network: Network) => Value;
}

/** A network whose outputs are not yet a loss. */
export interface Network {
  /** An output by name; without one the k-th. Throws ModelError where there is none. */
  output(k: number, name?: string): Value;
  /** An input by name; without one the only one that comes from data. As it came, before `feed`. */
  input(name?: string): Value;
}
