// A model of several inputs and the arrays that there are in; what the other inputs are by their names and shapes, and
// what to type, out.

import { defined } from '../defined.ts';
import { optionFor } from '../errors.ts';
import { called, TIME } from '../onnx/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { sizeOf } from '../tensor/shape.ts';

/** An input that no array is for, taken for what its name says. */
export interface InputRole {
  readonly input: string;
  readonly role: 'noise' | 'time' | 'mask' | 'kind of token';
  /** The option that says the same, and its value for this input; `normal` and `uniform` have none. */
  readonly option: 'normal' | 'uniform' | 'integers' | 'constants';
  readonly value?: number | readonly [low: number, high: number];
}

/** An input that no array is for, and of which nothing is known. */
export interface UnknownInput {
  readonly input: string;
  /** What it may be, and what to type. */
  readonly advice: string;
}

export interface InputRoles {
  readonly guessed: readonly InputRole[];
  readonly unknown: readonly UnknownInput[];
}

type Takes = Pick<ScoringModel, 'inputs' | 'inputTypes'>;

const NORMAL = called('eps|epsilon|noise|randn|normal|gaussian(_noise)?');
const UNIFORM = called('uniform(_noise)?|dequant\\w*|rand');
const LABELS = called('y|label|labels|class|classes|class_labels|target|targets');
/** What is masked out is 1 for the first, 0 for the second. */
const IGNORED = called('(key_)?padding_mask|pad_mask');
const KEPT = called('attention_mask|attn_mask|attention');
const MASK = called('mask');
const TOKEN_TYPES = called('token_type_ids|segment_ids');
const POSITIONS = called('position_ids|positions|pos_ids');

/**
 * `arrays`: names that the data have. An input of such a name is fed with it; a single array is for the one input that
 * is left. Others are taken for noise, times, or masks that mask nothing, where their names say so.
 */
export function guessRoles(model: Takes, arrays: readonly string[]): InputRoles {
  const names = Object.keys(model.inputs);
  const missing = names.filter((name) => !arrays.includes(name));
  const found = missing.map((name) => ({ name, role: roleOf(model, name) }));
  const guessed = found.flatMap(({ role }) => (role && 'role' in role ? [role] : []));
  const rest = found.filter(({ role }) => !(role && 'role' in role));
  // One array under another name: for the one input that nothing else is known of.
  const free = arrays.filter((name) => !names.includes(name));
  const plain = rest.filter(({ role }) => role === undefined);
  const taken = free.length > 0 && plain.length === 1 ? plain[0]!.name : undefined;
  const unknown = rest.flatMap(({ name, role }) =>
    name === taken ? [] : [{ input: name, advice: role && 'advice' in role ? role.advice : anything(model, name) }],
  );
  return { guessed, unknown };
}

/** An option with this value for an input, as messages say it. */
function said(option: InputRole['option'], input: string, value?: InputRole['value']): string {
  if (value === undefined) return `\`${option}: ['${input}']\``;
  return optionFor(option, input, typeof value === 'number' ? value : `[${value.join(', ')}]`);
}

/** For people: what was taken for what, and how to say otherwise. */
export const roleText = ({ input, role, option, value }: InputRole): string =>
  `'${input}' is taken for ${role} by its name, as with ${said(option, input, value)}; an array '${input}' in the data is taken in its place`;

function roleOf(model: Takes, input: string): InputRole | { readonly advice: string } | undefined {
  const shape = model.inputs[input]!;
  const { dtype = 'float', range } = model.inputTypes?.[input] ?? {};
  const guess = (role: InputRole['role'], option: InputRole['option'], value?: InputRole['value']): InputRole => ({
    input,
    role,
    option,
    ...defined({ value }),
  });
  const single = sizeOf(shape) === 1;
  if (dtype === 'float' && !single) {
    if (NORMAL.test(input)) return guess('noise', 'normal');
    if (UNIFORM.test(input)) return guess('noise', 'uniform');
  }
  if (single && TIME.test(input)) {
    if (dtype === 'int' && range && Number.isFinite(range[1])) {
      return guess('time', 'integers', [Math.max(0, range[0]), range[1]]);
    }
    return {
      advice: `a time, it seems: ${said('integers', input, [0, 999])} draws one for every example${dtype === 'float' ? `, ${said('uniform', input)} one from 0 to 1` : ''}, ${said('constants', input, 10)} is one for all`,
    };
  }
  if (KEPT.test(input)) return guess('mask', 'constants', 1);
  if (IGNORED.test(input)) return guess('mask', 'constants', 0);
  if (TOKEN_TYPES.test(input)) return guess('kind of token', 'constants', 0);
  if (MASK.test(input)) {
    return {
      advice: `a mask, it seems: ${said('constants', input, 1)} or ${said('constants', input, 0)}, whichever masks nothing`,
    };
  }
  if (POSITIONS.test(input)) return { advice: 'positions, it seems: put them into the data, one row for each example' };
  if (LABELS.test(input) && (dtype !== 'float' || single)) {
    return {
      advice: `labels, it seems: put them into the .npz under this name, or give one to all with ${said('constants', input, 0)}`,
    };
  }
  return undefined;
}

function anything(model: Takes, input: string): string {
  const { dtype = 'float' } = model.inputTypes?.[input] ?? {};
  const drawn =
    dtype === 'float'
      ? `${said('normal', input)}, ${said('uniform', input)}`
      : optionFor('integers', input, '[LOW, HIGH]');
  return `put it into the .npz under this name, or say what it is: ${drawn}, ${optionFor('constants', input, 'X')}`;
}
