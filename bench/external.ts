// npm run bench:external: how long an ONNX model with external data takes to open, against reading its data file twice.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadOnnx } from '../src/node/index.ts';
import { externalTensor, FLOAT, modelBytes, node, tensor, value } from '../test/support/proto.ts';
import { median } from './cases.ts';

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '500' },
    tensors: { type: 'string', default: '150' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const [megabytes, tensors, rounds] = [values.megabytes, values.tensors, values.rounds].map(Number) as [
  number,
  number,
  number,
];

const dir = mkdtempSync(join(tmpdir(), 'external-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const [data, model] = [join(dir, 'weights.bin'), join(dir, 'model.onnx')];
write();

/** Matrices of 1,024 columns, one behind the other, each a layer of its own. */
function write(): void {
  const rows = Math.floor((megabytes * 1e6) / tensors / 4096);
  const file = openSync(data, 'w');
  const numbers = Float32Array.from({ length: rows * 1024 }, (_, i) => ((i * 7919) % 1009) / 1009 - 0.5);
  for (let k = 0; k < tensors; k++) writeSync(file, numbers.fill(k, 0, 1));
  closeSync(file);
  const names = Array.from({ length: tensors }, (_, k) => `layer${k}.weight`);
  const bytes = modelBytes({
    input: [value('x', FLOAT, ['n', 1024])],
    initializer: [
      tensor('axes', [1], BigInt64Array.of(1n)),
      ...names.map((name, k) => externalTensor(name, [rows, 1024], 'weights.bin', 4096 * rows * k, 4096 * rows)),
    ],
    node: [
      ...names.flatMap((name, k) => [
        node('Gemm', ['x', name], [`h${k}`], { transB: 1 }),
        node('ReduceSum', [`h${k}`, 'axes'], [`s${k}`], { keepdims: 0 }),
      ]),
      node(
        'Sum',
        names.map((_, k) => `s${k}`),
        ['y'],
      ),
    ],
    output: [value('y', FLOAT, ['n'])],
  });
  writeFileSync(model, bytes);
}

function readTwice(): void {
  for (let k = 0; k < 2; k++) readFileSync(data);
}

async function timed(work: () => unknown): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

// Both sides in turn, so that a busy machine slows both.
const [reading, opening]: number[][] = [[], []];
for (let k = 0; k < rounds; k++) {
  reading!.push(await timed(readTwice));
  opening!.push(await timed(() => loadOnnx(model)));
}
const result = { megabytes, tensors, readTwiceMs: median(reading!), openMs: median(opening!) };
if (values.json) console.log(JSON.stringify(result));
else {
  const ratio = (result.openMs / result.readTwiceMs).toFixed(2);
  console.log(
    `${tensors} tensors in ${megabytes} MB: read twice in ${Math.round(result.readTwiceMs)} ms, opened in ${Math.round(result.openMs)} ms, ${ratio} times as long`,
  );
}
