// An ONNX file as it is read in one way in; a model of it, at sizes that the file or its data say, out.

import { ModelError } from '../errors.ts';
import type { Axes, GivenSizes, ImportedModel, Sizes } from '../onnx/index.ts';
import type { Shape } from '../tensor/shape.ts';
import type { ScoringModel } from './model.ts';

/** The file at these sizes, for as many copies of an example side by side (one). */
export type Read = (sizes: Sizes, copies?: number) => ImportedModel;

/** What is known of a file, whichever way it is read. */
export interface FileRead {
  readonly axes: Axes;
  /** Sizes that were given. */
  readonly dims: GivenSizes;
  /** Sizes of all axes, some of which may stand for any. */
  readonly sizes: Sizes;
  readonly copies: number;
  /** At these sizes, with so many copies. */
  readonly first: ImportedModel;
  /** How many copies scoring takes. */
  taken(): number;
  readonly shared: Omit<ScoringModel, 'hash' | 'weights' | 'loss' | 'inputs'>;
}

/** The model by one way of reading: with sizes that are left open, also at those that data have. */
export function modelOfFile(file: FileRead, read: Read, hash: string): ScoringModel {
  const { axes, dims, sizes, copies, first, taken, shared } = file;
  const model = (at: Sizes, imported: () => ImportedModel): ScoringModel => {
    const shapes = axes.shapes(at);
    return {
      ...shared,
      hash,
      get weights() {
        return imported().weights;
      },
      loss: () => (at === sizes ? read(at, taken()) : readAt(at, () => read(at, taken()))).loss,
      inputs: Object.fromEntries(Object.keys(first.data).map((key) => [key, ofExample(shapes[key]!)])),
    };
  };
  const fixed = model(sizes, () => first);
  const free = openSizes(axes, axes.bind(dims));
  if (free.length === 0) return fixed;
  const recent = new Map<string, ScoringModel>();
  return {
    ...fixed,
    weights: first.tensors,
    free: free.map((f) => ({ ...f, size: sizes.get(f.name)! })),
    declared: Object.fromEntries(Object.keys(first.data).map((key) => [key, axes.declared(key)])),
    at: (shapes) => {
      const wanted = Object.fromEntries(Object.entries(shapes).filter(([key]) => Object.hasOwn(first.data, key)));
      const bound = axes.bind(dims, wanted);
      axes.shapes(bound); // throws where something is missing
      const key = JSON.stringify([...bound].sort());
      const found =
        recent.get(key) ??
        model(
          bound,
          lazily(() => read(bound, copies)),
        );
      recent.delete(key);
      recent.set(key, found);
      if (recent.size > MOST_SHAPES) recent.delete(recent.keys().next().value!);
      return found;
    },
  };
}

/** How many shapes of one model are kept read. */
const MOST_SHAPES = 8;

/** Sizes that nothing has told yet. */
export const openSizes = (axes: Axes, known: Sizes) => axes.free.filter((f) => !known.has(f.name));

const ofExample = (shape: Shape): Shape => (shape[0] === 1 ? shape.slice(1) : shape);

/** Says at which sizes it does not go. */
function readAt(sizes: Sizes, work: () => ImportedModel): ImportedModel {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    const text = [...sizes].map(([key, size]) => `${key} = ${size}`).join(', ');
    throw new ModelError(`${error.message} (with ${text}, as the data have it)`, { cause: error });
  }
}

/** Made when it is first wanted. */
export function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
