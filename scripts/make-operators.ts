// Writes docs/operators.md, the table of ONNX operators that can be imported: `tsx scripts/make-operators.ts`.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { operators, withoutGradient } from '../src/onnx/index.ts';

export function operatorTable(): string {
  const rows = Object.keys(operators)
    .sort()
    .map((op) => {
      const smooth = !withoutGradient.has(op);
      return `| ${op} | yes | ${smooth ? 'yes | yes' : 'none: piecewise constant | –'} |`;
    });
  return `# ONNX operators

Written by \`npx tsx scripts/make-operators.ts\`; a test keeps it true. Every operator here has a test of its value against ONNX
Runtime's, of its gradient against finite differences, and of its lowering with operands that vary with the example and operands that
do not (\`test/onnx/operators.test.ts\`, \`test/onnx/cases.ts\`). Models are taken at a batch size of one; opsets 7 and later are read.

"Norm" means that squared gradient norms of parameters reach through the operator. What is not in the table is refused by name.

| operator | import | gradient | norm |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

const [, script] = process.argv;
if (script && fileURLToPath(import.meta.url) === script) {
  writeFileSync(fileURLToPath(new URL('../docs/operators.md', import.meta.url)), operatorTable());
}
