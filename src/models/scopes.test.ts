import { expect, it } from 'vitest';
import { Arena } from '../graph/index.ts';
import { slice } from '../ops/index.ts';
import type { Init, Scope } from './scope.ts';
import { collectSpecs, initialWeights, scopeFrom } from './scopes.ts';

const model = (scope: Scope) => {
  scope.in('a').param('weight', [1000], { kind: 'normal', std: 0.5 });
  scope.in('a').in('b').param('bias', [1000], { kind: 'uniform', bound: 0.1 });
  scope.param('mask', [2], { kind: 'values', data: [1, 0] }, { trainable: false });
  scope.param('seed', [1], { kind: 'computed', values: (seed) => [seed] });
};

it('collects what a model asks for, in order', () => {
  expect(collectSpecs(model).map((s) => [s.name, s.trainable])).toEqual([
    ['a.weight', true],
    ['a.b.bias', true],
    ['mask', false],
    ['seed', true],
  ]);
});

it('refuses a name that is asked for twice', () => {
  const init: Init = { kind: 'zeros' };
  expect(() =>
    collectSpecs((s) => {
      s.param('w', [1], init);
      s.param('w', [1], init);
    }),
  ).toThrow("'w' names an input or parameter already");
});

it('draws starting values from the seed and the name alone', () => {
  const specs = collectSpecs(model);
  const [w, again, other] = [initialWeights(specs, 7), initialWeights(specs.toReversed(), 7), initialWeights(specs, 8)];
  expect(w['a.weight']).toEqual(again['a.weight']);
  expect(w['a.weight']).not.toEqual(other['a.weight']);
  const variance = w['a.weight']!.data.reduce((sum, v) => sum + v * v, 0) / 1000;
  expect(Math.abs(variance - 0.25)).toBeLessThan(0.05);
  expect(Math.max(...w['a.b.bias']!.data.map(Math.abs))).toBeLessThanOrEqual(Math.fround(0.1));
  expect([...w.mask!.data, ...w.seed!.data]).toEqual([1, 0, 7]);
  const wrong = [{ name: 'v', shape: [3], init: { kind: 'values', data: [1] }, trainable: true } as const];
  expect(() => initialWeights(wrong, 1)).toThrow("parameter 'v' [3] is initialised with 1 numbers");
});

it('takes parameters from wherever it is told to', () => {
  const arena = new Arena();
  const flat = arena.param('flat', [5]);
  const scope = scopeFrom(arena, (spec) => slice(flat, 0, 0, spec.shape[0]!));
  expect(scope.in('x').param('w', [2], { kind: 'zeros' })).toBe(slice(flat, 0, 0, 2));
});
