import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 300_000, // what several tests share is made there: a small model, a fitted detector
    // ONNX Runtime has threads of its own: one worker per core would oversubscribe a small machine.
    maxWorkers: 2,
    pool: 'forks',
    env: { FISHER_OOD_CACHE: '' }, // tests begin from nothing and leave nothing
  },
});
