// A model of an ONNX file as plain data: graphs of nodes, tensors, functions.

import type { DType } from '../graph/index.ts';
import type { Shape } from '../tensor/shape.ts';

/**
 * A tensor of an ONNX file: floats of up to 32 bits in float32, all else in float64 (exact for all types but int64
 * beyond 2^53). The numbers may be the file's own bytes, so they are not to be changed.
 */
export interface FileTensor {
  readonly shape: Shape;
  readonly dtype: DType;
  /** The type in the file, a number of ONNX's own. */
  readonly element?: number;
  readonly data: Float32Array | Float64Array;
  /**
   * The first numbers, 64 at most, and the last one, of a tensor that lies in another file: to see them is not to read
   * all of it.
   */
  readonly ends?: { readonly head: Float32Array | Float64Array; readonly last: number };
}

/** Within a function: the attribute of this name of the node that calls it. */
interface AttrRef {
  readonly ref: string;
}

export type FileAttr = number | string | readonly number[] | readonly string[] | FileTensor | FileGraph | AttrRef;

export interface FileNode {
  readonly op: string;
  readonly domain: string;
  /** For messages: the node's name, or that of its first output. */
  readonly name: string;
  /** Empty strings stand for operands left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attrs: Readonly<Record<string, FileAttr>>;
  /** What the exporter wrote about it. */
  readonly notes?: Notes;
}

/** What an exporter wrote about a graph, a node or a value: text by key, as far as it says where parameters went. */
export type Notes = Readonly<Record<string, string>>;

export interface FileInput {
  readonly name: string;
  readonly dtype: DType;
  readonly element?: number;
  /** Sizes, or names of sizes that are free. */
  readonly shape: readonly (number | string)[] | undefined;
  /** A sequence of tensors: of a loop's body alone. */
  readonly sequence?: boolean;
}

export interface FileGraph {
  readonly nodes: readonly FileNode[];
  readonly initializers: ReadonlyMap<string, FileTensor>;
  /** Without those that are initialisers. */
  readonly inputs: readonly FileInput[];
  readonly outputs: readonly string[];
  readonly notes?: Notes;
  /** Of initialisers, by name. */
  readonly valueNotes?: ReadonlyMap<string, Notes>;
}

/** A function that the model brings along: what a node of its name and domain stands for. */
export interface FileFunction {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly FileNode[];
  /** Attributes that a call may leave out. */
  readonly defaults: Readonly<Record<string, FileAttr>>;
}

export interface FileModel {
  readonly graph: FileGraph;
  readonly opset: number;
  /** The program that wrote the file; empty where it does not say. */
  readonly producer?: string;
  readonly notes?: Notes;
  /** By `domain.name`, or the name alone for the ONNX domain. */
  readonly functions: ReadonlyMap<string, FileFunction>;
}

/** How a node's operator is called in messages, and under which a function is known. */
export function operatorName(node: Pick<FileNode, 'op' | 'domain'>): string {
  return node.domain === '' ? node.op : `${node.domain}.${node.op}`;
}
