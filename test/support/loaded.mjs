// Loaded before a program (node --import): notes every module that it loads, and at its end the processor time that it
// took, in $LOADED.
//
// Modules that are required and not imported are seen by the first of each package only, which is an import of ours.

import { appendFileSync } from 'node:fs';
import { register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

export async function resolve(specifier, context, next) {
  const found = await next(specifier, context);
  appendFileSync(process.env.LOADED, `${found.url}\n`);
  return found;
}

if (isMainThread && process.env.LOADED_HOOK !== 'off') register(import.meta.url);
if (isMainThread) {
  process.on('exit', () => {
    const { user, system } = process.cpuUsage();
    appendFileSync(process.env.LOADED, `seconds ${(user + system) / 1e6}\n`);
  });
}
