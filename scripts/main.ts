// What scripts with options of their own share: whole numbers of the command line, and errors of ours in a line.

import { FisherError, UsageError } from '../src/errors.ts';

/** The option `name` as a whole number from `least` on; undefined where it was not given. */
export function wholeOf(values: Readonly<Record<string, unknown>>, name: string, least: number): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (typeof text === 'string' && /^\d+$/.test(text) && Number(text) >= least) return Number(text);
  throw new UsageError(`--${name} is '${text}', expected a whole number from ${least} on`);
}

/**
 * Runs it, or says how it is used (`--help`); an error that speaks to the user is printed, and the process ends with 2.
 */
export async function runMain(main: () => Promise<void>, usage: string): Promise<void> {
  if (process.argv.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  try {
    await main();
  } catch (error) {
    // parseArgs of node:util has errors of its own
    const isOfOptions =
      error instanceof TypeError && /^ERR_PARSE_ARGS/.test((error as NodeJS.ErrnoException).code ?? '');
    if (!isOfOptions && !(error instanceof FisherError)) throw error;
    process.stderr.write(`${error.message}\n${isOfOptions ? `${usage}\n` : ''}`);
    process.exitCode = 2;
  }
}
