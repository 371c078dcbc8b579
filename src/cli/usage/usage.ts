// What a user must know to call a command, and the help text made from it. What does the command's work is loaded when
// it runs.

import type { Command } from '../command.ts';
import { commonOptions, type Options } from './options.ts';

export interface Usage {
  /** Arguments as in the synopsis, such as `MODEL --data DATA`. */
  readonly synopsis: string;
  /** One line. */
  readonly about: string;
  /** What else a user wants to know, as paragraphs; a function where they are made from what the command knows. */
  readonly details?: readonly string[] | (() => Promise<readonly string[]>);
  readonly examples: readonly string[];
  readonly options: Options;
  /** How many arguments there are besides the options. */
  readonly positionals: number | { readonly least: number; readonly most: number };
  /** The command itself, with all that it imports. */
  load(): Promise<Command>;
}

export async function helpText(name: string, usage: Usage): Promise<string> {
  const rows = Object.entries({ ...usage.options, ...commonOptions }).map(([option, o]) => [
    `  --${option}${o.value ? ` ${o.value}` : ''}`,
    o.about,
  ]);
  const details = typeof usage.details === 'function' ? await usage.details() : (usage.details ?? []);
  return [
    `fisher-ood ${name} ${usage.synopsis}`.trim(),
    '',
    usage.about,
    ...details.flatMap((paragraph) => ['', paragraph]),
    '',
    'Options:',
    ...rows.map(([left, right]) => `${left!.padEnd(Math.max(...rows.map((r) => r[0]!.length)) + 2)}${right}`),
    '',
    'Examples:',
    ...usage.examples.map((example) => `  fisher-ood ${example}`),
  ].join('\n');
}
