// A tenth of the comparison of every ONNX operator with ONNX Runtime's own kernels, and what it rests on.

import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { lastComparison } from '../../scripts/make-operators.ts';
import { NEWEST_OPSET, operators } from '../../src/onnx/index.ts';
import { modelBytes, node, value } from '../support/proto.ts';
import { compare } from './run.ts';
import { allot, configurationOf, operatorNames } from './sweep.ts';

const SEED = 20260;
const COUNT = 350;

describe('every operator against ONNX Runtime', () => {
  const known = new Set(lastComparison().reasons.map(({ reason }) => reason));

  it.each([...allot(COUNT)])('%s, in %i configurations', { timeout: 120_000 }, async (op, count) => {
    for (let k = 0; k < count; k++) {
      const outcome = await compare(configurationOf(op, SEED, k));
      const where = `npm run compare:operators -- --seed ${SEED} --op ${op} --only ${k}`;
      expect(outcome.kind === 'differs' ? outcome.detail : '', where).toBe('');
      if (outcome.kind === 'refused') expect(known, `${where}: not in docs/operators.md`).toContain(outcome.reason);
    }
  });

  it('has a generator for each operator of the import', () => {
    expect(operatorNames).toEqual(Object.keys(operators).sort());
  });

  it('reaches the newest opset that the runtime knows', async () => {
    const open = (opset: number) => {
      const parts = { node: [node('Identity', ['x'], ['y'])], input: [value('x', 1, [1])], output: [value('y', 1)] };
      return ort.InferenceSession.create(modelBytes(parts, opset), { logSeverityLevel: 4 });
    };
    await (await open(NEWEST_OPSET)).release();
    await expect(open(NEWEST_OPSET + 1)).rejects.toThrow(/opset/i);
  });

  it('was run over at least 3,000 configurations that the runtime knows, and none differed', () => {
    const { total, matched, refused, notRun } = lastComparison();
    expect(matched + refused).toBeGreaterThanOrEqual(3000);
    expect(matched + refused + notRun).toBe(total);
  });
});
