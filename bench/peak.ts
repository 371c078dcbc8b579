// The machine's own peak: what its best large matrix product reaches, in the same run and with the same threads as
// what is measured against it.

import { openProgram, type Program } from '../src/engine/index.ts';
import { Arena } from '../src/graph/index.ts';
import { nodeRuntime } from '../src/node/runtime.ts';
import { matmul } from '../src/ops/index.ts';

/** Rows, columns and depth of the products; the runtime's are fastest between these. */
const SIZES = [768, 1024, 1536];

export interface Peak {
  /** Runs every product once. */
  run(): Promise<void>;
  /** Of the fastest run so far. */
  gflops(): number;
  dispose(): Promise<void>;
}

/** Products of a square matrix with a constant one, which the runtime packs. */
export async function openPeak(threads?: number): Promise<Peak> {
  const products: { size: number; program: Program; data: Float32Array }[] = [];
  for (const size of SIZES) {
    const arena = new Arena();
    const shape = [size, size];
    const data = Float32Array.from({ length: size * size }, (_, k) => Math.sin(k));
    const y = matmul(arena.input('x', shape), arena.param('w', shape));
    const options = { runtime: nodeRuntime({ cache: '' }), weights: { w: { shape, data } }, batch: 1, threads };
    const program = openProgram({ arena, outputs: { y } }, options);
    await program.run({ x: { data, shape: [1, ...shape] } }); // warms up
    products.push({ size, program, data });
  }
  let best = 0;
  return {
    async run() {
      for (const { size, program, data } of products) {
        const began = performance.now();
        await program.run({ x: { data, shape: [1, size, size] } });
        best = Math.max(best, (2 * size ** 3) / (performance.now() - began) / 1e6);
      }
    },
    gflops: () => best,
    dispose: async () => {
      for (const { program } of products) await program.dispose();
    },
  };
}
