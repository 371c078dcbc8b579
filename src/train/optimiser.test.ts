// A step of training: its gradient is that of the loss, however the model uses its parameters.

import { describe, expect, it } from 'vitest';
import { normGraph } from '../features/norms.ts';
import { Arena, interpret, type Value } from '../graph/index.ts';
import { type Architecture, paramScope, type Scope } from '../models/index.ts';
import { add, matmul, mul, reduceSum, reshape, sigmoid, square, transpose } from '../ops/index.ts';
import { trainingStep } from './index.ts';

/** What is made of data x [1, 3] and a parameter w [2, 3]. */
const uses: Readonly<Record<string, (x: Value, w: Value) => Value>> = {
  'as it is': (x, w) => matmul(x, transpose(w)),
  'in another shape': (x, w) => matmul(x, reshape(w, [3, 2])),
  'in two shapes': (x, w) => add(matmul(x, reshape(w, [3, 2])), matmul(x, transpose(w))),
  'as a gate': (x, w) => mul(matmul(x, transpose(mul(w, sigmoid(w)))), 0.5),
};

const archOf = (use: (x: Value, w: Value) => Value): Architecture<unknown> => ({
  name: 'test',
  takes: 'images',
  configure: (config) => config,
  loss: (_config, data, scope: Scope) => {
    const x = reshape(scope.arena.input('x', [1, ...data]), [1, 3]);
    const w = scope.param('w', [2, 3], { kind: 'zeros' });
    return { nll: reduceSum(square(use(x, w))), parts: () => [] };
  },
});

describe('a step of training with a parameter that is used', () => {
  it.each(Object.entries(uses))('%s', (_, use) => {
    const arch = archOf(use);
    const [w, x] = [Float64Array.of(0.3, -0.5, 0.7, 0.2, 0.9, -0.4), Float64Array.of(1, -2, 0.5)];
    const step = trainingStep(arch, {}, [1, 1, 3], { examples: 1, parts: 1 });
    const zeros = new Float64Array(6);
    const rates = { lr: [0.1], correction1: [0.1], correction2: [0.001] };
    const { gradient, loss: of } = interpret(step.gradient, { x, theta: w });
    const added = { gradients: gradient!.data, losses: of!.data };
    const { gradientNorm } = interpret(step.update, { ...added, theta: w, m: zeros, v: zeros, ...rates });
    const loss = arch.loss({}, [1, 1, 3], paramScope(new Arena())).nll;
    const { sqnorm } = interpret(normGraph(loss).graph, { x, w });
    // Of the loss in nats per dimension, of which there are three.
    expect(gradientNorm!.data[0]).toBeCloseTo(Math.sqrt(sqnorm!.data[0]!) / 3, 12);
  });
});
