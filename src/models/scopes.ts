// The scopes: parameters as such, parameters from elsewhere, a list of what a model asks for, and initial values.

import { ModelError } from '../errors.ts';
import { Arena, type Value } from '../graph/index.ts';
import { groupRepeat } from '../ops/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import type { DataInit, Init, ParamSpec, Scope } from './scope.ts';

/** A scope whose parameters come from `get`, which sees full names. `dataInit.found` gets full names too. */
export function scopeFrom(arena: Arena, get: (spec: ParamSpec) => Value, dataInit?: DataInit): Scope {
  const below = (prefix: string): Scope => ({
    arena,
    param: (name: string, shape: Shape, init: Init, options: { readonly trainable?: boolean } = {}) =>
      get({ name: prefix + name, shape, init, trainable: options.trainable ?? true }),
    in: (name) => below(`${prefix}${name}.`),
    ...(dataInit && {
      dataInit: { examples: dataInit.examples, found: (name, value) => dataInit.found(prefix + name, value) },
    }),
  });
  return below('');
}

/** The scope in which every parameter is a parameter of the graph in `arena`. */
export function paramScope(arena: Arena): Scope {
  return scopeFrom(arena, (spec) => arena.param(spec.name, spec.shape, { trainable: spec.trainable }));
}

/**
 * The same scope for a network that runs several times in one graph: a parameter that was asked for before is that
 * parameter.
 */
export function shared(scope: Scope): Scope {
  const known = new Map<string, Value>();
  const below = (prefix: string, inner: Scope): Scope => ({
    ...inner,
    param: (name, shape, init, options) => {
      const value = known.get(prefix + name) ?? inner.param(name, shape, init, options);
      known.set(prefix + name, value);
      return value;
    },
    in: (name) => below(`${prefix}${name}.`, inner.in(name)),
  });
  return below('', scope);
}

/** Numbers that a model may have: as many as fit into an ONNX file, 2 GiB. */
const MAX_NUMBERS = 2 ** 29;

/**
 * What a model asks its scope for, in order. Throws ModelError where that is more than 2^29 numbers in all. `check`
 * sees every parameter when it is asked for, before anything is built with it.
 */
export function collectSpecs(
  build: (scope: Scope) => void,
  check: (spec: ParamSpec) => void = () => undefined,
): ParamSpec[] {
  const arena = new Arena();
  const specs: ParamSpec[] = [];
  let numbers = 0;
  const collect = (spec: ParamSpec) => {
    numbers += sizeOf(spec.shape);
    if (!(numbers <= MAX_NUMBERS)) {
      throw new ModelError(
        `the model would have more than ${MAX_NUMBERS} weights, with '${spec.name}' of ${shapeText(spec.shape)}`,
      );
    }
    check(spec);
    specs.push(spec);
    return arena.param(spec.name, spec.shape, { trainable: spec.trainable });
  };
  build(scopeFrom(arena, collect));
  return specs;
}

/**
 * The scope of one run over a first batch of `examples` examples, all of one group: parameters that start from data are
 * put into `found` by name (lead 'group'; make them outputs), the others are parameters of the graph.
 */
export function dataInitScope(arena: Arena, examples: number, found: Map<string, Value>): Scope {
  const get = (spec: ParamSpec) => arena.param(spec.name, spec.shape, { trainable: spec.trainable });
  return scopeFrom(arena, get, {
    examples,
    found: (name, value) => {
      found.set(name, value);
      return groupRepeat(value);
    },
  });
}

/** Starting values. Each parameter has its own random stream, so adding one leaves the others as they were. */
export function initialWeights(specs: readonly ParamSpec[], seed: number): Weights {
  return Object.fromEntries(
    specs.map((spec) => [spec.name, { shape: spec.shape, data: initialValue(spec, seed) }] as const),
  );
}

function initialValue({ name, shape, init }: ParamSpec, seed: number): Float32Array {
  const data = new Float32Array(sizeOf(shape));
  if (init.kind === 'zeros') return data;
  if (init.kind === 'values' || init.kind === 'computed') {
    const values = init.kind === 'values' ? init.data : init.values(seed);
    if (values.length !== data.length) {
      throw new ModelError(`parameter '${name}' ${shapeText(shape)} is initialised with ${values.length} numbers`);
    }
    data.set(values);
    return data;
  }
  const random = new RandomStream(seed, `init:${name}`);
  if (init.kind === 'normal') {
    random.normal(0, data);
    return data.map((x) => x * init.std);
  }
  random.uniform(0, data);
  return data.map((x) => (2 * x - 1) * init.bound);
}
