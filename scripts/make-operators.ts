// Writes docs/operators.md, the table of ONNX operators that can be imported and of what is refused: `tsx
// scripts/make-operators.ts`.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NEWEST_OPSET, OLDEST_OPSET, operators, withoutGradient } from '../src/onnx/index.ts';

/** What `npm run compare:operators -- --write` found, as test/compare/comparison.json has it. */
export interface Comparison {
  readonly seed: number;
  readonly total: number;
  readonly matched: number;
  readonly refused: number;
  readonly notRun: number;
  readonly reasons: readonly { readonly reason: string; readonly operators: Readonly<Record<string, number>> }[];
}

const pathOf = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const COMPARISON = pathOf('test/compare/comparison.json');

export const lastComparison = (): Comparison => JSON.parse(readFileSync(COMPARISON, 'utf8')) as Comparison;

/** Keeps the result of a comparison and writes the table anew. */
export function writeComparison(comparison: Comparison): void {
  writeFileSync(COMPARISON, `${JSON.stringify(comparison, null, 2)}\n`);
  writeFileSync(pathOf('docs/operators.md'), operatorTable());
}

export function operatorTable(): string {
  const rows = Object.keys(operators)
    .sort()
    .map((op) => {
      const smooth = !withoutGradient.has(op);
      return `| ${op} | yes | ${smooth ? 'yes | yes' : 'none: piecewise constant | –'} |`;
    });
  const { seed, total, matched, refused, notRun, reasons } = lastComparison();
  const text = (n: number) => n.toLocaleString('en-US');
  const cell = (s: string) => s.replaceAll('|', '\\|');
  const refusals = reasons.map(({ reason, operators }) => `| ${cell(reason)} | ${Object.keys(operators).join(', ')} |`);
  return `# ONNX operators

Written by \`npx tsx scripts/make-operators.ts\`; a test keeps it true. Every operator here has a test of its value against ONNX
Runtime's, of its gradient against finite differences, and of its lowering with operands that vary with the example and operands that
do not (\`test/onnx/operators.test.ts\`, \`test/onnx/cases.ts\`). Models are taken at a batch size of one; opsets ${OLDEST_OPSET} to ${NEWEST_OPSET} are read.

"Norm" means that squared gradient norms of parameters reach through the operator. What is not in the table is refused by name. What the
gradient is at kinks, bounds and zeros is in [onnx.md](onnx.md#gradients-where-there-is-none).

| operator | import | gradient | norm |
| --- | --- | --- | --- |
${rows.join('\n')}

## Compared with ONNX Runtime

\`npm run compare:operators -- --count N --seed S\` makes configurations of every operator: shapes, types, attributes, what is left out, the
opsets in which attributes became operands. Each is run by ONNX Runtime's own kernel from the file's bytes, and through the import
both by the float64 rules and lowered for two examples at once. Of ${text(total)} configurations (seed ${seed}) ${text(matched)} have the same values to the
accuracy of float32, ${text(refused)} are refused by name, ${text(notRun)} ONNX Runtime does not run (no kernel for the type, or invalid), and none differs. A tenth of
them is part of the tests. Half-precision and double-precision values are computed in float32; int32 as int64.

These are the refusals, numbers in them as …:

| refused | operators |
| --- | --- |
${refusals.join('\n')}
`;
}

const [, script] = process.argv;
if (script && fileURLToPath(import.meta.url) === script) writeFileSync(pathOf('docs/operators.md'), operatorTable());
