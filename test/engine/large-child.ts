// Opens a program with 168 MB of weights, with a cache, and runs it; prints how many times its weights the arrays of
// this process hold then, and how many times it held at most: node … large-child.ts CACHE

import { openProgram } from '../../src/engine/index.ts';
import { Arena } from '../../src/graph/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { matmul, reduceSum } from '../../src/ops/index.ts';

const [rows, columns] = [4096, 10_240];
const size = 4 * rows * columns;
const arena = new Arena();
const y = reduceSum(matmul(arena.input('x', [1, rows]), arena.param('w', [rows, columns])));
const before = process.resourceUsage().maxRSS * 1024;
const w = { shape: [rows, columns], data: new Float32Array(rows * columns).fill(1) };
const runtime = nodeRuntime({ cache: process.argv[2]! });
const program = openProgram({ arena, outputs: { y } }, { runtime, weights: { w }, batch: 2, keep: true });
await program.run({ x: { data: new Float32Array(2 * rows).fill(1), shape: [2, rows] } });
const held = process.memoryUsage().arrayBuffers / size;
const peak = (process.resourceUsage().maxRSS * 1024 - before) / size;
await program.dispose();
process.stdout.write(JSON.stringify({ held, peak }));
