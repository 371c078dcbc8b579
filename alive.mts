import { readFileSync } from 'node:fs';
import { compile } from './bench/cases.ts';
import { makePlan, operandsOf } from './src/lower/norm-plan.ts';
import { sizeOf } from './src/tensor/shape.ts';

const c = await compile({ model: process.argv[2]!, what: 'norms', batch: 1, group: 1 } as any);
const graph = c.graph;
const plan = makePlan(graph, 1, 'auto');
const readsOf = (v: any) => operandsOf(v, plan);
const outputs = Object.values(graph.outputs) as any[];
const order: any[] = [];
const seen = new Set();
const stack = [...outputs].sort((a, b) => a.id - b.id).map((v) => ({ v, done: false }));
for (let top = stack.pop(); top; top = stack.pop()) {
  if (top.done) order.push(top.v);
  else if (!seen.has(top.v)) {
    seen.add(top.v);
    stack.push({ v: top.v, done: true });
    for (const v of readsOf(top.v).toSorted((a: any, b: any) => a.id - b.id))
      if (!seen.has(v)) stack.push({ v, done: false });
  }
}
const last = new Map();
order.forEach((v, at) => {
  for (const x of readsOf(v)) last.set(x, at);
});
for (const o of outputs) last.set(o, order.length);
const share = (v: any) => (v.lead === 'none' ? 0 : 4 * sizeOf(v.shape));
let alive = 0,
  peak = 0,
  peakAt = 0;
const live = new Set<any>();
let snap: any[] = [];
order.forEach((v, at) => {
  alive += share(v);
  live.add(v);
  if (alive > peak) {
    peak = alive;
    peakAt = at;
    snap = [...live];
  }
  for (const x of new Set(readsOf(v)) as any)
    if (last.get(x) === at) {
      alive -= share(x);
      live.delete(x);
    }
});
console.log('nodes', order.length, 'peak', peak / 1e6, 'at', peakAt);
const by = new Map<string, number>();
for (const v of snap) {
  const k = `${v.source.op?.name ?? v.source.kind} ${JSON.stringify(v.shape)}`;
  by.set(k, (by.get(k) ?? 0) + share(v) / 1e6);
}
console.log(
  [...by]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 25)
    .map(([k, m]) => `${m.toFixed(1)} ${k}`)
    .join('\n'),
);
