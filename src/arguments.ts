// What a caller gave, who may write plain JavaScript, in; the same out if it is what is wanted, or an error that says
// which argument it is, what was found and what was expected.

import { UsageError } from './errors.ts';

/** What a value has to be, and how a message says it. */
export interface Rule {
  readonly holds: (value: unknown) => boolean;
  readonly expected: string;
}

/** By name. */
export type Rules = Readonly<Record<string, Rule>>;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isWhole = (value: unknown, least: number): boolean => Number.isSafeInteger(value) && Number(value) >= least;

/** The rule, or nothing at all. */
export const optional = ({ holds, expected }: Rule): Rule => ({
  holds: (value) => value === undefined || holds(value),
  expected,
});

export const wholeFrom = (least: number): Rule => ({
  holds: (value) => isWhole(value, least),
  expected: `a whole number of at least ${least}`,
});

export const wholesFrom = (least: number, example: string): Rule => ({
  holds: (value) => Array.isArray(value) && value.length > 0 && value.every((one) => isWhole(one, least)),
  expected: `a list of whole numbers of at least ${least}, such as ${example}`,
});

/** A shape, that of a single number too. */
export const sizes: Rule = {
  holds: (value) => Array.isArray(value) && value.every((one) => isWhole(one, 0)),
  expected: 'sizes, such as [1, 28, 28]',
};

export const numbers: Rule = {
  holds: (value) =>
    value instanceof Float64Array || (Array.isArray(value) && value.every((one) => typeof one === 'number')),
  expected: 'numbers, as a list or a Float64Array',
};

export const between = (low: number, high: number): Rule => ({
  holds: (value) => typeof value === 'number' && value > low && value < high,
  expected: `a number between ${low} and ${high}`,
});

export const yesOrNo: Rule = { holds: (value) => typeof value === 'boolean', expected: 'true or false' };

export const text: Rule = { holds: (value) => typeof value === 'string', expected: 'a text' };

export const textsSuch = (example: string): Rule => ({
  holds: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  expected: `a list of texts, such as ${example}`,
});

export const range: Rule = {
  holds: (value) => Array.isArray(value) && value.length === 2 && value.every(Number.isFinite) && value[0] < value[1],
  expected: 'two numbers, the lower first, such as [0, 1]',
};

export const twoNumbers: Rule = {
  holds: (value) => Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === 'number'),
  expected: 'two numbers',
};

export const pattern: Rule = {
  holds: (value) => value instanceof RegExp,
  expected: 'a regular expression, such as /weight|bias/',
};

export const oneOf = (...values: readonly string[]): Rule => ({
  holds: (value) => values.includes(value as string),
  expected: `one of ${values.join(', ')}`,
});

export const someOf = (...values: readonly string[]): Rule => ({
  holds: (value) => Array.isArray(value) && value.every((one) => values.includes(one as string)),
  expected: `a list of ${values.join(', ')}`,
});

/** A record whose values are all so. */
export const recordOf = ({ holds, expected }: Rule): Rule => ({
  holds: (value) => isObject(value) && Object.values(value).every(holds),
  expected: `a record of ${expected} each`,
});

/** An object with these in it; `expected` says what gives such an object. */
export const objectWith = (rules: Rules, expected: string): Rule => ({
  holds: (value) => isObject(value) && Object.entries(rules).every(([key, { holds }]) => holds(value[key])),
  expected,
});

export const listOf = ({ holds, expected }: Rule): Rule => ({
  holds: (value) => Array.isArray(value) && value.every(holds),
  expected: `a list, each ${expected}`,
});

export const aFunction: Rule = { holds: (value) => typeof value === 'function', expected: 'a function' };

const anObject: Rule = { holds: isObject, expected: 'an object' };

/** What data sets are, wherever they come from. */
export const dataset: Rule = objectWith(
  { shapes: anObject, batches: aFunction, gather: aFunction, length: wholeFrom(0) },
  'a data set, as openData and memoryDataset give it',
);

/** What has a loss to take gradients of. */
export const model: Rule = objectWith(
  { loss: aFunction, inputs: anObject, weights: anObject, hash: text },
  'a model, as loadModel and loadOnnx give it',
);

export const aList: Rule = { holds: Array.isArray, expected: 'a list' };
const doubles: Rule = { holds: (value) => value instanceof Float64Array, expected: 'a Float64Array' };

/** What `fitDetectors` gives. */
export const detector: Rule = objectWith(
  { data: anObject, names: aList, groups: aList },
  'a detector, as fitDetectors and readDetector give it',
);

/** What an extractor gives. */
export const table: Rule = objectWith(
  { names: aList, meta: anObject, group: wholeFrom(1), nll: doubles, sqNorms: doubles },
  'a feature table, as an extractor and readTable give it',
);

/** What says which inputs it takes, as models do. */
export const takes: Rule = objectWith({ inputs: anObject }, model.expected);

/** Throws a UsageError for the first argument of `where` that breaks its rule. */
export function checkArguments(where: string, given: Readonly<Record<string, unknown>>, rules: Rules): void {
  for (const [key, { holds, expected }] of Object.entries(rules)) {
    if (!holds(given[key])) throw new UsageError(`${where}: ${key} is ${shown(given[key])}, expected ${expected}`);
  }
}

/** The same for the options of `where`, which are an object. */
export function checkOptions(where: string, options: unknown, rules: Rules): void {
  checkArguments(where, { options }, { options: anObject });
  checkArguments(where, options as Readonly<Record<string, unknown>>, rules);
}

/** A value as code has it, not longer than a line takes. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 60)}…'` : `'${value}'`;
  if (typeof value === 'function') return 'a function';
  if (value instanceof RegExp) return String(value);
  if (ArrayBuffer.isView(value)) return `a ${value.constructor.name} of ${(value as Uint8Array).length ?? 0}`;
  if (Array.isArray(value)) return value.length <= 5 ? `[${value.map(shown).join(', ')}]` : `a list of ${value.length}`;
  if (!isObject(value)) return String(value);
  const keys = Object.keys(value);
  return keys.length === 0 ? 'an empty object' : `an object of ${keys.slice(0, 5).join(', ')}`;
}
