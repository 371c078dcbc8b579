// What scripts with options of their own share: whole numbers of the command line, and errors of ours in a line.

import { FisherError, UsageError } from '../src/errors.ts';

/** The option `name` as a whole number from `least` on; undefined where it was not given. */
export function wholeOf(values: Readonly<Record<string, unknown>>, name: string, least: number): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  if (typeof text === 'string' && /^\d+$/.test(text) && Number(text) >= least) return Number(text);
  throw new UsageError(`--${name} is '${text}', expected a whole number from ${least} on`);
}

/** Runs it; an error that speaks to the user is printed, and the process ends with 2. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof FisherError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}
