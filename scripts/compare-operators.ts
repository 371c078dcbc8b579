// npm run compare:operators -- --count N --seed S: every ONNX operator of the import in generated configurations
// against ONNX Runtime's own kernels; what matches, what is refused and why, and what differs, out. With --write the
// reasons go into docs/operators.md.

import { parseArgs } from 'node:util';
import type { OperatorName } from '../src/onnx/index.ts';
import type { Configuration } from '../test/compare/configuration.ts';
import { compare } from '../test/compare/run.ts';
import { configurationOf, operatorNames, sweep } from '../test/compare/sweep.ts';
import { type Comparison, writeComparison } from './make-operators.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '3500' },
    seed: { type: 'string', default: '1' },
    op: { type: 'string', multiple: true },
    only: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

/** A configuration on one line, long lists of numbers left out. */
function text(c: Configuration): string {
  const operands = c.operands.map((o) => {
    if (!o) return '–';
    const numbers = o.role === 'weight' && o.examples[0].length <= 8 ? `=${o.examples[0].join(' ')}` : '';
    return `${o.role === 'input' ? '*' : ''}${o.element}[${o.shape}]${numbers}`;
  });
  const attrs = Object.entries(c.attrs ?? {}).map(([name, a]) => {
    if (typeof a === 'object' && ('graph' in a || 'tensor' in a)) return `${name}=…`;
    const plain = typeof a === 'object' && !Array.isArray(a) ? Object.values(a)[0] : a;
    return `${name}=${JSON.stringify(plain)}`;
  });
  return `${c.op}-${c.opset}(${operands.join(', ')}) ${attrs.join(' ')}`;
}

const print = (line: string) => process.stdout.write(`${line}\n`);

function whole(name: 'count' | 'seed' | 'only'): number {
  const n = Number(values[name]);
  if (!Number.isSafeInteger(n) || n < (name === 'count' ? 1 : 0)) throw new Error(`--${name} ${values[name]}`);
  return n;
}

async function main(): Promise<number> {
  const [count, seed] = [whole('count'), whole('seed')];
  const asked = (values.op ?? operatorNames).flatMap((list) => list.split(',')) as OperatorName[];
  const unknown = asked.find((op) => !operatorNames.includes(op));
  if (unknown !== undefined) throw new Error(`no operator '${unknown}', expected ${operatorNames.join(', ')}`);
  if (values.only !== undefined) {
    const c = configurationOf(asked[0]!, seed, whole('only'));
    print(`${text(c)}\n${JSON.stringify(c.operands)}\n${JSON.stringify(await compare(c))}`);
    return 0;
  }
  const tally = { match: 0, refused: 0, 'runtime refuses': 0, differs: 0 };
  const refused = new Map<string, Map<OperatorName, number>>();
  const notRun = new Map<OperatorName, number>();
  for await (const { op, k, configuration, outcome } of sweep(count, seed, asked)) {
    tally[outcome.kind]++;
    if (outcome.kind === 'differs') {
      print(`DIFFERS --seed ${seed} --op ${op} --only ${k}: ${text(configuration)}\n    ${outcome.detail}`);
    } else if (outcome.kind === 'refused') {
      const by = refused.get(outcome.reason) ?? new Map<OperatorName, number>();
      refused.set(outcome.reason, by.set(op, (by.get(op) ?? 0) + 1));
      if (values.verbose) print(`refused --only ${k} ${text(configuration)}\n    ${outcome.reason}`);
    } else if (outcome.kind === 'runtime refuses') {
      notRun.set(op, (notRun.get(op) ?? 0) + 1);
      if (values.verbose) print(`not run --only ${k} ${text(configuration)}\n    ${outcome.reason.slice(0, 300)}`);
    }
  }
  const total = Object.values(tally).reduce((a, b) => a + b, 0);
  const result: Comparison = {
    seed,
    total,
    matched: tally.match,
    refused: tally.refused,
    notRun: tally['runtime refuses'],
    reasons: [...refused]
      .map(([reason, by]) => ({ reason, operators: Object.fromEntries([...by].sort(([a], [b]) => (a < b ? -1 : 1))) }))
      .sort((a, b) => (a.reason < b.reason ? -1 : 1)),
  };
  for (const { reason, operators } of result.reasons) {
    const by = Object.entries(operators).map(([op, n]) => `${op} ${n}`);
    print(`refused: ${reason}: ${by.join(', ')}`);
  }
  print(`not run by ONNX Runtime: ${[...notRun].map(([op, n]) => `${op} ${n}`).join(', ') || 'none'}`);
  print(
    `${total} configurations: ${tally.match} match, ${tally.refused} refused by name, ${tally['runtime refuses']} not run by ONNX Runtime, ${tally.differs} differ`,
  );
  if (values.write && tally.differs === 0 && !values.op) writeComparison(result);
  return tally.differs > 0 ? 1 : 0;
}

process.exitCode = await main();
