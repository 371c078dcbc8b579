// The command line: picks the command, turns errors into messages and exit codes (0 done, 1 failed, 2 wrong usage).

import { readFileSync } from 'node:fs';
import { isOutOfMemory } from '../engine/limits.ts';
import { FisherError, UsageError } from '../errors.ts';
import { forgetNotes } from './notes.ts';
import { parse, runOptions } from './options.ts';
import { print, say } from './terminal.ts';
import { commands, helpText, type Usage } from './usage/index.ts';
import { commonOptions } from './usage/options.ts';

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  return [
    'fisher-ood: tells which inputs a deep generative model has not learned',
    '',
    ...Object.entries(commands).map(([name, c]) => `  ${name.padEnd(width)}  ${c.about}`),
    '',
    'fisher-ood COMMAND --help says more. MODEL is a directory written by train; DATA is a file, a folder, or the name of a',
    'known data set as NAME:split.',
  ].join('\n');
}

/** Runs one command and sets the exit code of the process. Never throws. */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever reads the output may have enough of it, as `head` has.
    if (error.code === 'EPIPE') process.exit(0);
    void import('../node/index.ts').then(({ reasonOf }) => {
      say(`fisher-ood: cannot write the result to standard output: ${reasonOf(error, '.')}`);
      process.exit(1);
    });
  });
  process.stderr.on('error', () => undefined); // nobody to tell; the exit code still does
  process.exitCode = await run(argv);
}

/** Runs one command; the exit code. */
export async function run(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  try {
    if (name === undefined || name === '--help' || name === 'help') print(overview());
    else if (name === '--version') print(version());
    else await runCommand(name, rest);
    return name === undefined ? 2 : 0;
  } catch (error) {
    const limit = limitOf(error);
    if (limit !== undefined) {
      say(`fisher-ood: ${limit}`);
      return 1;
    }
    if (!(error instanceof FisherError)) {
      say(error instanceof Error && error.stack ? error.stack : String(error));
      say('This is a bug in fisher-ood.');
      return 1;
    }
    say(`fisher-ood: ${error.message}`);
    if (!(error instanceof UsageError)) return 1;
    say(`fisher-ood ${name !== undefined && name in commands ? `${name} ` : ''}--help says more`);
    return 2;
  }
}

/** What to say where the machine, and not the program, is at its limit. */
function limitOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (error instanceof FisherError) return undefined;
  if (code === 'EMFILE' || code === 'ENFILE') {
    return 'too many open files; allow more, for example with: ulimit -n 1024';
  }
  if (!isOutOfMemory(error)) return undefined;
  const lines = String(error instanceof Error ? error.message : error).split('\n');
  // a library's advice on installing it is of no use here
  const reason = lines.find((line) => isOutOfMemory(new Error(line)));
  return `the memory does not suffice: ${reason}; a smaller --batch takes less, and DATA[i:j] is a part of the data`;
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url);
  return String((JSON.parse(readFileSync(file, 'utf8')) as { version: unknown }).version);
}

async function runCommand(name: string, args: readonly string[]): Promise<void> {
  if (!Object.hasOwn(commands, name)) {
    throw new UsageError(`there is no command '${name}'; there are ${Object.keys(commands).join(', ')}`);
  }
  const usage: Usage = commands[name as keyof typeof commands];
  const { values, positionals } = parse(args, { ...usage.options, ...commonOptions });
  if (values.help === true) return print(await helpText(name, usage));
  const { positionals: count } = usage;
  const { least, most } = typeof count === 'number' ? { least: count, most: count } : count;
  if (positionals.length < least || positionals.length > most) {
    const expected = least === most ? least : `${least} to ${most}`;
    throw new UsageError(`${name} takes ${expected} argument(s), found ${positionals.length}: ${usage.synopsis}`);
  }
  const options = runOptions(values);
  forgetNotes();
  const command = await usage.load();
  if (!command.writes) return command.run(positionals, values, options);
  const [{ claimOutputs }, { during }] = await Promise.all([import('./outputs.ts'), import('../node/index.ts')]);
  const claim = await claimOutputs(await command.writes(positionals, values), options);
  await during(claim, () => command.run(positionals, values, options, claim));
}
