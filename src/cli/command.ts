// What a command is, and the help text made from its parts.

import type { Claim } from '../data/index.ts';
import { commonOptions, type Options, type RunOptions, type Values } from './options.ts';
import type { Outputs } from './outputs.ts';

export interface Command {
  /** Arguments as in the synopsis, such as `MODEL --data DATA`. */
  readonly synopsis: string;
  /** One line. */
  readonly about: string;
  /** What else a user wants to know, as paragraphs. */
  readonly details?: readonly string[];
  readonly examples: readonly string[];
  readonly options: Options;
  /** How many arguments there are besides the options. */
  readonly positionals: number | { readonly least: number; readonly most: number };
  /** What it writes and reads; claimed before `run`, until that ends. */
  writes?(positionals: readonly string[], values: Values): Outputs | Promise<Outputs>;
  run(positionals: readonly string[], values: Values, options: RunOptions, claim?: Claim): Promise<void>;
}

export function helpText(name: string, command: Command): string {
  const rows = Object.entries({ ...command.options, ...commonOptions }).map(([option, o]) => [
    `  --${option}${o.value ? ` ${o.value}` : ''}`,
    o.about,
  ]);
  return [
    `fisher-ood ${name} ${command.synopsis}`.trim(),
    '',
    command.about,
    ...(command.details ?? []).flatMap((paragraph) => ['', paragraph]),
    '',
    'Options:',
    ...rows.map(([left, right]) => `${left!.padEnd(Math.max(...rows.map((r) => r[0]!.length)) + 2)}${right}`),
    '',
    'Examples:',
    ...command.examples.map((example) => `  fisher-ood ${example}`),
  ].join('\n');
}
