// npm run rivals -- MODEL --fit DATA --in DATA --ood NAME=DATA … [--limit N]: a model and data sets in; a table of
// AUROC for groups of 1 and of 5 inputs, and of examples a second, of our detectors and of those of others on the same
// model and data, out.

import { parseArgs } from 'node:util';
import { openModel } from '../src/cli/models.ts';
import { type Dataset, take } from '../src/data/index.ts';
import { UsageError } from '../src/errors.ts';
import { asModelTakes } from '../src/features/index.ts';
import { openData } from '../src/node/index.ts';
import { nodeRuntime } from '../src/node/runtime.ts';
import { runMain, wholeOf } from './main.ts';
import { compareRivals, methods, rivalsTable } from './rivals/compare.ts';

const GROUPS = [1, 5];
const USAGE =
  'usage: npm run rivals -- MODEL --fit DATA --in DATA --ood NAME=DATA … [--only NAME,…] [--limit N] [--seed S] [--threads N]';

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      fit: { type: 'string' },
      in: { type: 'string' },
      ood: { type: 'string', multiple: true, default: [] },
      only: { type: 'string' },
      limit: { type: 'string' },
      seed: { type: 'string', default: '0' },
      threads: { type: 'string' },
    },
  });
  const [path, ...more] = positionals;
  if (path === undefined || more.length > 0 || !values.fit || !values.in || values.ood.length === 0) {
    throw new UsageError(USAGE);
  }
  const whole = (name: 'limit' | 'seed' | 'threads', least: number) => wholeOf(values, name, least);
  const [limit, seed, threads] = [whole('limit', 1), whole('seed', 0)!, whole('threads', 1)];
  const model = await openModel(path);
  const [like] = Object.values(model.inputs);
  const open = async (spec: string): Promise<Dataset> =>
    asModelTakes(model, await openData(spec, { like: like!, seed }));
  const some = (data: Dataset) => (limit === undefined || limit >= data.length ? data : take(data, 0, limit));
  const oodSets: { name: string; data: Dataset }[] = [];
  for (const pair of values.ood) {
    const [, name, spec] = /^([^=]+)=(.+)$/.exec(pair) ?? [];
    if (name === undefined) throw new UsageError(`--ood is '${pair}', expected NAME=DATA, such as mnist=mnist:test`);
    oodSets.push({ name, data: some(await open(spec!)) });
  }
  const known = methods.flatMap(({ names }) => names);
  const only = values.only?.split(',');
  const unknown = only?.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`--only has '${unknown}', expected some of ${known.join(', ')}`);
  const fit = await open(values.fit);
  const inSet = { name: 'in-distribution', data: some(await open(values.in)) };
  const context = {
    model,
    runtime: nodeRuntime(),
    fit,
    groups: GROUPS,
    seed,
    ...(threads === undefined ? {} : { threads }),
  };
  const chosen = methods.filter(({ names }) => only === undefined || names.some((name) => only.includes(name)));
  const found = await compareRivals(context, inSet, oodSets, chosen, (name) => process.stderr.write(`${name}\n`));
  const counts = [inSet, ...oodSets].map(({ name, data }) => `${name} ${data.length}`).join(', ');
  process.stdout.write(
    `${model.about}: fitted on ${fit.length} inputs; ${counts}. AUROC for B = ${GROUPS.join(' / ')}\n\n`,
  );
  process.stdout.write(`${rivalsTable(found, GROUPS)}\n`);
}

await runMain(main, USAGE);
