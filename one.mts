import { measure, prepare } from './bench/cases.ts';

const [model, what, n, threads] = process.argv.slice(2);
const t0 = performance.now();
const p = await prepare({ model, what, batch: Number(n), group: 1 } as any, Number(threads));
const t1 = performance.now();
await measure([p], 3, async () => {});
const ms = Math.min(...p.milliseconds);
console.log(
  model.split('/').at(-1),
  what,
  'open',
  ((t1 - t0) / 1000).toFixed(2),
  's; run',
  ms.toFixed(0),
  'ms; peak',
  (process.resourceUsage().maxRSS / 1024).toFixed(0),
  'MiB; est',
  JSON.stringify((p as any).peakBytes ?? null),
);
process.exit(0);
