// fit, score, eval, features and inspect where inputs or layers are special: inputs that fill no group, that are not
// finite, that were fitted on, that are equal; layers that no detector can use; names and files that are not as they
// should be.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeNpy } from '../../src/data/npy.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx, openData, readTable, runFeatures } from '../../src/node/index.ts';
import { RandomStream } from '../../src/tensor/random.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
afterAll(() => folder.remove());

/** Loss Σ (x w + b + ½ ε)²: a zero input leaves w without a gradient, one of 1e30 has an infinite loss. */
const model = modelBytes(
  {
    node: [
      node('MatMul', ['x', 'w'], ['xw']),
      node('Add', ['xw', 'b'], ['h']),
      node('Mul', ['eps', 'half'], ['noise']),
      node('Add', ['h', 'noise'], ['hn']),
      node('Mul', ['hn', 'hn'], ['squares']),
      node('ReduceSum', ['squares', 'axes'], ['loss'], { keepdims: 0 }),
    ],
    initializer: [
      tensor('w', [2, 2], Float32Array.of(1, 0.5, -0.25, 1)),
      tensor('b', [2], Float32Array.of(0.3, -0.2)),
      tensor('half', [], Float32Array.of(0.5)),
      tensor('axes', [1], BigInt64Array.of(1n)),
    ],
    input: [value('x', FLOAT, ['n', 2]), value('eps', FLOAT, ['n', 2])],
    output: [value('loss', FLOAT, ['n'])],
  },
  17,
);

/** 95 rows N(0, 1); some of them set to given values. */
function write(name: string, rows: Readonly<Record<number, readonly [number, number]>> = {}, n = 95): string {
  const data = new Float32Array(2 * n);
  new RandomStream(1, 'rows').normal(0, data);
  for (const [row, pair] of Object.entries(rows)) data.set(pair, 2 * Number(row));
  writeFileSync(at(name), writeNpy({ dtype: 'float32', shape: [n, 2], data }));
  return at(name);
}

const fitOn = (data: string, out: string, ...more: readonly string[]) =>
  runCli('fit', at('m.onnx'), '--normal', 'eps', '--params', 'w|b', '--data', data, '--out', at(out), ...more);

interface Scores {
  readonly n: number;
  readonly results: readonly {
    readonly index: number;
    readonly group?: number;
    readonly score: number | null;
    readonly pValue: number | null;
    readonly ood: boolean | null;
  }[];
  readonly leftOver?: readonly number[];
  readonly notFinite?: readonly number[];
  readonly dropped?: readonly { readonly name: string }[];
}

async function score(detector: string, data: string, ...more: readonly string[]) {
  const { code, stdout, stderr } = await runCli('score', at(detector), '--data', data, '--json', ...more);
  return { code, stderr, scores: JSON.parse(stdout) as Scores };
}

const odd = { 30: [1e30, 1], 94: [1e38, 1e38] } as const;

beforeAll(async () => {
  writeFileSync(at('m.onnx'), model);
  write('rows.npy');
  write('odd.npy', odd);
  const { code, stderr } = await fitOn(at('rows.npy'), 'd.json', '--group', '1,4');
  expect(code, stderr).toBe(0);
});

describe('inputs that fill no group', () => {
  it('are named by features and fit, in text and JSON', async () => {
    const features = ['features', at('m.onnx'), '--normal', 'eps', '--data', at('rows.npy'), '--group', '10', '--json'];
    const { code, stdout, stderr } = await runCli(...features, '--out', at('g.npz'));
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { n: 9, leftOver: [90, 91, 92, 93, 94] }]);
    expect(stderr).toContain('rows.npy: examples 90 to 94 are left over: they fill no group of 10');
    const first = await runCli(...features, '--out', at('s1.npz'), '--shard', '1/2');
    const last = await runCli(...features, '--out', at('s2.npz'), '--shard', '2/2');
    expect([JSON.parse(first.stdout).leftOver, JSON.parse(last.stdout).leftOver?.length]).toEqual([undefined, 5]);
    const fitted = await fitOn(at('rows.npy'), 'left.json', '--group', '1,4', '--json');
    const { groups } = JSON.parse(fitted.stdout) as { groups: { group: number; leftOver?: number[] }[] };
    expect(groups.map((g) => g.leftOver)).toEqual([undefined, [92, 93, 94]]);
    expect(fitted.stderr).toContain('examples 92 to 94 are left over: they fill no group of 4');
  });

  it('get verdicts of their own from score where the detector has smaller groups', async () => {
    const { code, scores, stderr } = await score('d.json', at('rows.npy'), '--group', '4');
    expect([code, scores.n, scores.results.length, scores.leftOver], stderr).toEqual([0, 26, 26, undefined]);
    const own = scores.results.slice(23);
    expect(own.map(({ index, group }) => [index, group])).toEqual([
      [92, 1],
      [93, 1],
      [94, 1],
    ]); // prettier-ignore
    const single = await score('d.json', at('rows.npy'));
    expect(own.map(({ pValue }) => pValue)).toEqual(single.scores.results.slice(92).map(({ pValue }) => pValue));
    const { stdout } = await runCli('score', at('d.json'), '--data', at('rows.npy'), '--group', '4', '--fpr', '0.1');
    expect(stdout).toMatch(/of 23 groups of 4 out of distribution by combined at/);
    expect(stdout).toMatch(/of 3 inputs left over \(from example 92 on\) out of distribution by combined at/);
  });

  it('are named by score where it has none, and by eval', async () => {
    expect((await fitOn(at('rows.npy'), 'four.json', '--group', '4')).code).toBe(0);
    const { code, scores, stderr } = await score('four.json', at('rows.npy'), '--group', '4', '--fpr', '0.1');
    expect([code, scores.n, scores.leftOver]).toEqual([0, 23, [92, 93, 94]]);
    expect(stderr).toContain('rows.npy: examples 92 to 94 are left over');
    const sets = ['--in', at('rows.npy'), '--ood', `other=${at('rows.npy')}[0:11]`];
    const { stdout } = await runCli('eval', at('d.json'), ...sets, '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      leftOver: [
        { set: at('rows.npy'), group: 4, examples: [92, 93, 94] },
        { set: 'other', group: 4, examples: [8, 9, 10] },
      ],
      fittedOn: [
        { set: at('rows.npy'), examples: 95 },
        { set: 'other', examples: 11 },
      ],
    });
  });
});

describe('an input whose norms are not finite', () => {
  it('is named by features, which goes on and exits with 1', async () => {
    for (const out of ['o.json', 'o.npz', 'o.parquet']) {
      const args = ['--normal', 'eps', '--data', at('odd.npy'), '--batch', '8', '--out', at(out), '--json'];
      const { code, stdout, stderr } = await runCli('features', at('m.onnx'), ...args);
      expect([code, JSON.parse(stdout)]).toMatchObject([1, { n: 95, notFinite: [30, 94] }]);
      expect(stderr).toMatch(/odd\.npy: example 30: not finite: negative log-likelihood/);
      expect(stderr).toContain('2 inputs have no finite norms or likelihood; the others are done');
      const table = await readTable(at(out));
      expect([...table.nll.keys()].filter((i) => Number.isNaN(table.nll[i]))).toEqual([30, 94]);
    }
    expect(readFileSync(at('o.json'), 'utf8')).toContain('null');
  });

  it('is kept by a run that was stopped and resumed', async () => {
    const loaded = await loadOnnx(at('m.onnx'), { normal: ['eps'] });
    const extractor = await openExtractor(loaded, { batch: 8, threads: 1 });
    const stopped = runFeatures({
      extractor,
      data: await openData(at('odd.npy')),
      out: at('stopped.npz'),
      onProgress: ({ done }) => {
        if (done >= 40) throw new Error('stopped');
      },
    });
    await expect(stopped).rejects.toThrow('stopped');
    await extractor.dispose();
    const args = ['--normal', 'eps', '--data', at('odd.npy'), '--batch', '8', '--threads', '1', '--json'];
    const { code, stdout, stderr } = await runCli('features', at('m.onnx'), ...args, '--out', at('stopped.npz'));
    expect(stderr).toContain('40 examples had been done before');
    expect([code, JSON.parse(stdout).notFinite]).toEqual([1, [30, 94]]);
    await runCli('features', at('m.onnx'), ...args, '--out', at('whole.npz'));
    expect(readFileSync(at('stopped.npz')).equals(readFileSync(at('whole.npz')))).toBe(true);
  });

  it('is refused by fit, by name, unless it is to be left out', async () => {
    const refused = await fitOn(at('odd.npy'), 'odd.json', '--group', '1');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('2 of 95 groups to fit on have no finite norms or nll: examples 30, 94');
    const { code, stdout } = await fitOn(at('odd.npy'), 'odd.json', '--group', '1', '--skip-not-finite', '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { groups: [{ group: 1, n: 93, notFinite: [30, 94] }] }]);
  });

  it('among those that the metric is taken from is left out of the combined detector, too', async () => {
    const rows = write('early.npy', { 3: [1e30, 1] });
    const { code, stdout, stderr } = await fitOn(rows, 'early.json', '--group', '1', '--skip-not-finite', '--json');
    expect(code, stderr).toBe(0);
    expect(stderr).not.toMatch(/is missing: /);
    expect(JSON.parse(stdout)).toMatchObject({ groups: [{ group: 1, n: 94 }], combined: { n: 72, notFinite: [3] } });
  });

  it('has no verdict of score, neither in nor out, and the others have theirs', async () => {
    const { code, scores, stderr } = await score('d.json', at('odd.npy'), '--batch', '8');
    expect([code, scores.n, scores.notFinite]).toEqual([1, 95, [30, 94]]);
    for (const { index, ...rest } of scores.results) {
      if (index === 30 || index === 94) expect(rest).toEqual({ score: null, pValue: null, ood: null });
      else expect(Number.isFinite(rest.score) && rest.pValue! > 0 && rest.ood !== null).toBe(true);
    }
    expect(stderr).toMatch(/example 30: not finite.*\n.*example 94: not finite/);
    const groups = await score('d.json', at('odd.npy'), '--group', '4');
    expect(groups.scores.notFinite).toEqual([28, 94]);
    const shown = await runCli('score', at('d.json'), '--data', at('odd.npy'));
    expect(shown.code).toBe(1);
    expect(shown.stdout).toMatch(/of 93 inputs out of distribution/);
    expect(shown.stdout).not.toMatch(/NaN|null/);
  });

  it('is named by eval, whose figures and page are those of the others', async () => {
    const sets = ['--in', `${at('odd.npy')}[0:50]`, '--ood', `b=${at('odd.npy')}`, '--group', '1'];
    const { code, stdout, stderr } = await runCli('eval', at('d.json'), ...sets, '--json', '--report', at('r.html'));
    expect(code, stderr).toBe(1);
    const { results, notFinite } = JSON.parse(stdout) as {
      results: { nIn: number; nOod: number }[];
      notFinite: object;
    };
    expect(notFinite).toEqual([
      { set: `${at('odd.npy')}[0:50]`, group: 1, index: 30 },
      { set: 'b', group: 1, index: 30 },
      { set: 'b', group: 1, index: 94 },
    ]);
    expect(new Set(results.map(({ nIn, nOod }) => `${nIn} ${nOod}`))).toEqual(new Set(['49 93']));
    expect(readFileSync(at('r.html'), 'utf8')).not.toMatch(/NaN/);
  });
});

it('a set of which nothing is finite is refused by name', async () => {
  const all = write('all.npy', Object.fromEntries(Array.from({ length: 8 }, (_, i) => [i, [1e30, 1] as const])), 8);
  const { code, stderr } = await runCli('eval', at('d.json'), '--in', at('rows.npy'), '--ood', `all=${all}`);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/all: .* of all 8 groups are not finite/)]);
  const scored = await score('d.json', all);
  expect([scored.code, scored.scores.notFinite?.length]).toEqual([1, 8]);
});

describe('equal inputs', () => {
  it('have equal scores wherever they stand, whatever the file is called', async () => {
    const same = [0.7, -1.2] as const;
    const places = [0, 7, 50, 94];
    write('same.npy', Object.fromEntries(places.map((i) => [i, same])));
    write('moved.npy', { 3: same }, 10);
    const { scores } = await score('d.json', at('same.npy'));
    const found = places.map((i) => scores.results[i]!.score!);
    const moved = await score('d.json', `${at('moved.npy')}[2:10]`);
    for (const s of [...found, moved.scores.results[1]!.score!]) expect(s).toBeCloseTo(found[0]!, 4);
    expect(scores.results[1]!.score).not.toBeCloseTo(found[0]!, 2);
  });

  it('differ by their index in the file where that is asked for, also through a slice', async () => {
    expect((await fitOn(at('rows.npy'), 'index.json', '--group', '1', '--noise-by', 'index')).code).toBe(0);
    const whole = await score('index.json', at('rows.npy'));
    const slice = await score('index.json', `${at('rows.npy')}[50:60]`);
    for (const [k, { score: s }] of slice.scores.results.entries()) {
      expect(s).toBeCloseTo(whole.scores.results[50 + k]!.score!, 4);
    }
    const { code, stderr } = await fitOn(at('rows.npy'), 'x.json', '--noise-by', 'name');
    expect([code, stderr]).toEqual([2, expect.stringContaining("--noise-by is 'name', expected content or index")]);
  });

  it('have the scores of before under a detector that does not say what its noise was keyed by', async () => {
    // By place, as all was: what the index in the file comes to where that was not cut.
    const { noise: _, ...old } = JSON.parse(readFileSync(at('index.json'), 'utf8'));
    writeFileSync(at('old.json'), JSON.stringify(old));
    const [byIndex, byPlace] = [await score('index.json', at('rows.npy')), await score('old.json', at('rows.npy'))];
    expect(byPlace.scores).toEqual(byIndex.scores);
    const content = await score('d.json', at('rows.npy'));
    expect(content.scores.results[0]!.score).not.toBeCloseTo(byPlace.scores.results[0]!.score!, 3);
  });
});

describe('inputs that were fitted on', () => {
  it('are found in a slice that overlaps the one of the fit', async () => {
    expect((await fitOn(`${at('rows.npy')}[0:60]`, 'part.json', '--group', '1')).code).toBe(0);
    for (const [slice, examples] of [
      ['[30:90]', 30],
      ['[60:95]', undefined],
      ['', 60],
    ] as const) {
      // prettier-ignore
      const sets = ['--in', `${at('rows.npy')}${slice}`, '--ood', `b=${write('b.npy', { 0: [1, 1] })}`];
      const { stdout, stderr } = await runCli('eval', at('part.json'), ...sets, '--json');
      expect(JSON.parse(stdout).fittedOn?.[0].examples).toBe(examples);
      expect(/those the detector was fitted on: (\d+)/.exec(stderr)?.[1]).toBe(examples?.toString());
    }
  });
});

describe('a layer that no detector can use', () => {
  it('is named by fit, score and inspect; one with a single zero is used', async () => {
    const zeros = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [i, [0, 0] as const]));
    const { code, stdout } = await fitOn(write('dark.npy', zeros), 'dark.json', '--group', '1');
    expect(code).toBe(0);
    const line = /without layer 'w' \(squared norm is 0 in 60 of 95 fit groups\): layer-norms, chi2, fisher/;
    expect(stdout).toMatch(line);
    const json = await fitOn(at('dark.npy'), 'dark.json', '--group', '1', '--json');
    expect(JSON.parse(json.stdout).groups[0].dropped['layer-norms']).toEqual([
      { name: 'w', reason: 'squared norm is 0 in 60 of 95 fit groups' },
    ]);
    const scored = await score('dark.json', at('rows.npy'), '--detector', 'layer-norms');
    expect(scored.scores.dropped).toEqual([{ name: 'w', reason: 'squared norm is 0 in 60 of 95 fit groups' }]);
    expect(scored.stderr).toContain("without layer 'w'");
    expect((await runCli('inspect', at('dark.json'))).stdout).toMatch(line);
    const inspected = JSON.parse((await runCli('inspect', at('dark.json'), '--json')).stdout);
    expect(inspected.groups[0].dropped.chi2).toHaveLength(1);

    const one = await fitOn(write('one.npy', { 9: [0, 0] }), 'one.json', '--group', '1');
    expect(one.stdout).not.toContain('without');
    expect((await score('one.json', at('rows.npy'))).scores.dropped).toBeUndefined();
  });
});

describe('wrong usage and damaged files', () => {
  it.each([
    ['two sets of one name', ['--ood', 'a=X', '--ood', 'a=Y'], /two data sets are named "a"/],
    ['names equal to the eye', ['--ood', 'ﬁt=X', '--ood', 'fit=Y'], /two data sets are named "fit"/],
    ['an empty name', ['--ood', '=X'], /--ood is '=X', expected NAME=DATA/],
    ['a blank name', ['--ood', ' =X'], /a data set is named " "/],
    ['an escape sequence', ['--ood', '\u001b[31ma=X'], /expected no control characters/],
    ['a line end', ['--ood', 'a\nb=X'], /expected no control characters/],
    ['text that turns others round', ['--ood', 'a\u202eb=X'], /expected no control characters/],
  ])('eval refuses %s before any work', async (_, sets, message) => {
    const { code, stderr } = await runCli('eval', at('d.json'), '--in', at('rows.npy'), ...sets);
    expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
  });

  it('eval refuses the name of the in-distribution set for another', async () => {
    const sets = ['--in', at('rows.npy'), '--ood', `${at('rows.npy')}=${at('odd.npy')}`];
    const { code, stderr } = await runCli('eval', at('d.json'), ...sets);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/two data sets are named/)]);
  });

  it.each([
    ['sd', 5e-324],
    ['mean', 1e308],
  ])('a detector whose %s is %d is refused, whichever detector is asked for', async (key, number) => {
    const file = JSON.parse(readFileSync(at('d.json'), 'utf8'));
    file.groups[0].detectors['one-class-svm'].params.layers[0][key] = number;
    writeFileSync(at('bad.json'), JSON.stringify(file));
    for (const name of ['one-class-svm', 'layer-norms']) {
      const args = ['--data', at('rows.npy'), '--detector', name, '--fpr', '0.2'];
      const { code, stdout, stderr } = await runCli('score', at('bad.json'), ...args);
      expect([code, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`at 'groups[0].detectors.one-class-svm.params.layers[0].${key}'`);
    }
  });

  it.each([
    [{ normal: 'eps' }, /at 'recipe\.normal': found "eps", expected a list of texts/],
    [{ params: 7 }, /at 'recipe\.params': found 7, expected a text/],
    [{ bound: 'yes' }, /at 'recipe\.bound': found "yes", expected true/],
    [{ model: 7 }, /at 'recipe\.model': found 7, expected the path of a model/],
    [{ colour: 'red' }, /at 'recipe\.colour': found "red", expected an option such as timestep, /],
  ])('a recipe of %j is refused, not ignored', async (change, message) => {
    const file = JSON.parse(readFileSync(at('d.json'), 'utf8'));
    Object.assign(file.recipe, change);
    writeFileSync(at('recipe.json'), JSON.stringify(file));
    const { code, stderr } = await runCli('score', at('recipe.json'), '--data', at('rows.npy'));
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
  });
});

it('train says that so few examples leave none to hold out', async () => {
  const args = ['--limit', '12', '--steps', '2', '--batch', '4', '--pad', '32', '--out', at('tiny')];
  const config = ['--config', '{"levels": 1, "steps": 1, "hidden": 4}'];
  const { code, stdout, stderr } = await runCli('train', 'glow', '--data', 'sample/mnist', ...config, ...args);
  expect([code, stdout]).toEqual([0, expect.stringContaining('trained 2 steps, too few examples to hold any out')]);
  expect(stdout + stderr).not.toContain('NaN');
});
