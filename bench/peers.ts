// npm run bench:peers -- SCRIPT: the same models in PyTorch and here, turn by turn; ratios of each pair of turns, and
// their medians. See bench/peers.md.

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { alignColumns } from '../src/eval/index.ts';
import { measure, median, prepare } from './cases.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: 'string', default: 'glow,vae,ddpm' },
    turns: { type: 'string', default: '3' },
    python: { type: 'string', default: '/usr/bin/python3' },
    json: { type: 'boolean', default: false },
  },
});
const [script] = positionals;
if (script === undefined) throw new Error('expected the path of the PyTorch script');

interface Turn {
  readonly model: string;
  /** Examples/s. */
  readonly torch: { readonly forward: number; readonly backward: number; readonly loop: number; readonly vmap: number };
  readonly ours: { readonly forward: number; readonly norms: number; readonly train: number };
}

/** From the script's line `NAME … examples/s: forward A backward B loop C vmap(grad) D`. */
function runTorch(model: string): Turn['torch'] {
  const output = execFileSync(values.python, [script!, model], { encoding: 'utf8' });
  const line = output.split('\n').find((l) => l.startsWith(model)) ?? '';
  const [forward, backward, loop, vmap] = (line.split('examples/s:')[1]?.match(/\d+(\.\d+)?/g) ?? []).map(Number);
  if (vmap === undefined) throw new Error(`${script} ${model} prints ${JSON.stringify(output)}, expected four numbers`);
  return { forward: forward!, backward: backward!, loop: loop!, vmap };
}

async function runOurs(model: string): Promise<Turn['ours']> {
  const file = join(dirname(script!), `${model}.onnx`);
  const speed: Record<string, number> = {};
  for (const what of ['forward', 'norms', 'train'] as const) {
    const prepared = await prepare(
      { model: what === 'train' ? model : file, what, batch: 64, group: what === 'train' ? 64 : 1 },
      2,
    );
    await measure([prepared], 9);
    await prepared.program.dispose();
    speed[what] = (64 / median(prepared.milliseconds)) * 1000;
  }
  return speed as Record<'forward' | 'norms' | 'train', number>;
}

const turns: Turn[] = [];
for (let k = 0; k < Number(values.turns); k++) {
  for (const model of values.models.split(',')) {
    turns.push({ model, torch: runTorch(model), ours: await runOurs(model) });
    process.stderr.write(`turn ${k + 1} of ${values.turns}: ${model}\n`);
  }
}

const ratios = {
  'norms / fastest of PyTorch': ({ torch, ours }: Turn) => ours.norms / Math.max(torch.loop, torch.vmap),
  'norms / loop': ({ torch, ours }: Turn) => ours.norms / torch.loop,
  'forward / norms': ({ ours }: Turn) => ours.forward / ours.norms,
  'training / backward': ({ torch, ours }: Turn) => ours.train / torch.backward,
};

if (values.json) {
  process.stdout.write(`${JSON.stringify({ turns })}\n`);
} else {
  const round = (x: number) => x.toFixed(0);
  const rows = turns.map(({ model, torch, ours }) => [
    model,
    ...[...Object.values(torch), ...Object.values(ours)].map(round),
  ]);
  const head = ['examples/s', 'torch forward', 'backward', 'loop', 'vmap(grad)', 'our forward', 'norms', 'training'];
  process.stdout.write(`${alignColumns([head, ...rows])}\n\n`);
  const lines = values.models.split(',').map((model) => {
    const own = turns.filter((turn) => turn.model === model);
    const cells = Object.values(ratios).map((ratio) => {
      const all = own.map(ratio);
      return `${median(all).toFixed(1)} (${all.map((r) => r.toFixed(1)).join(' ')})`;
    });
    return [model, ...cells];
  });
  process.stdout.write(`${alignColumns([['median (pair by pair)', ...Object.keys(ratios)], ...lines])}\n`);
}
