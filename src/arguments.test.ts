// What plain JavaScript may give to the functions of the package that TypeScript would not let through: each is refused
// with what was found and expected, and what is left out has its default.

import { describe, expect, it } from 'vitest';
import * as lib from './index.ts';

const data = lib.syntheticDataset('noise', { length: 6, shape: [2], seed: 1 });
const model = { loss: () => {}, inputs: {}, weights: {}, hash: 'h' };
const set = { name: 'a', data };
const options = { groups: [1], seed: 0 };
const any = (value: unknown) => value as never;

/** A call, and how the message begins. */
const cases: readonly (readonly [() => unknown, string])[] = [
  [() => lib.syntheticDataset(any('nose'), { length: 1, shape: [2], seed: 0 }), "kind is 'nose', expected one of"],
  [() => lib.syntheticDataset('noise', any(undefined)), 'options is undefined, expected an object'],
  [() => lib.syntheticDataset('noise', any({ length: 1, seed: 0 })), 'shape is undefined, expected a list'],
  [() => lib.memoryDataset('m', 2, 'f', any(undefined)), 'arrays is undefined, expected a record of { data, shape }'],
  [() => lib.memoryDataset('m', 2, 'f', any({ x: [1, 2] })), 'arrays is an object of x, expected a record of'],
  [
    () => lib.memoryDataset('m', 3, 'f', { x: { data: new Float32Array(4), shape: [2] } }),
    "m: 'x' has 4 values, expected 3",
  ],
  [() => lib.take(any([1, 2]), 0, 1), 'take: data is [1, 2], expected a data set'],
  [() => lib.pad(any(undefined), 2, 2), 'pad: data is undefined'],
  [() => lib.prepare(data, any({ filter: 'cubic' })), "prepare: filter is 'cubic', expected one of"],
  [() => lib.prepare(data, any({ channels: 2 })), 'prepare: channels is 2, expected 1 or 3'],
  [() => lib.prepare(data, any({ resize: 32 })), 'prepare: resize is 32, expected two numbers'],
  [() => lib.asModelTakes(any({}), data), 'asModelTakes: model is an empty object, expected a model'],
  [() => lib.fitDetectors(any(undefined)), 'fitDetectors: tables is undefined, expected a list, each a feature table'],
  [() => lib.fitDetectors([], any({ leaveOut: 'yes' })), "fitDetectors: leaveOut is 'yes', expected true or false"],
  [() => lib.scoreTable(any({}), any({})), 'scoreTable: detector is an empty object'],
  [() => lib.sharedWithFit(any(null), any({})), 'sharedWithFit: detector is null'],
  [() => lib.explain(any(undefined), any({})), 'explain: params is undefined'],
  [() => lib.evaluate(any({}), [], [], { seed: 0 }), 'evaluate: detector is an empty object'],
  [() => lib.formatResults(any('rows')), "formatResults: rows is 'rows'"],
  [() => lib.threshold(any(undefined), 0.05), 'threshold: calibration is undefined'],
  [() => lib.verdicts(any({}), 0.05), 'verdicts: scored is an empty object'],
  [() => lib.notFinite(any({ nll: [1] })), 'notFinite: table is an object of nll'],
  [() => lib.finiteRows(any(undefined)), 'table is undefined'],
  [() => lib.leftOver(data, any('two')), "leftOver: group is 'two', expected a whole number"],
  [() => lib.parseObjective(any(undefined)), '`objective` is undefined; there are nll, denoise'],
  [() => lib.featuresOf(any(undefined), [set], options), 'featuresOf: model is undefined, expected a model'],
  [() => lib.featuresOf(any(model), any(data), options), 'featuresOf: sets is an object of name'],
  [() => lib.featuresOf(any(model), [set], any({ seed: 0 })), 'featuresOf: groups is undefined, expected a list of'],
  [() => lib.featuresOf(any(model), [set], any(undefined)), 'featuresOf: groups is undefined'],
  [() => lib.featuresOf(any(model), [set], any({ ...options, groups: [] })), 'featuresOf: groups is [], expected'],
  [
    () => lib.featuresOf(any(model), [set], any({ ...options, noise: 'contents' })),
    "noise is 'contents', expected one of",
  ],
  [() => lib.featuresToFit(any(model), any(data), options), 'featuresToFit: set is an object of'],
  [
    () => lib.featuresToFit(any(model), set, any({ ...options, views: ['fishers'] })),
    "views is ['fishers'], expected a list",
  ],
  [() => lib.fitCombinedOn(any(model), set, any({ ...options, leaveOut: 1 })), 'leaveOut is 1, expected true or false'],
  [
    () => lib.fitCombinedWherePossible(any(model), set, any({ ...options, seed: 'x' })),
    "seed is 'x', expected a whole",
  ],
  [() => lib.fitAndEvaluate(any(model), set, set, any(set), options), 'oodSets is an object of name, data'],
  [
    () => lib.evaluateDetector(any(model), any({}), set, [set], options),
    'evaluateDetector: detector is an empty object',
  ],
  [() => lib.openExtractor(any({})), 'openExtractor: model is an empty object'],
  [() => lib.openExtractor(any(model), any({ plan: 'grams' })), "plan is 'grams', expected one of auto, direct, gram"],
  [() => lib.openExtractor(any(model), any({ noise: 'x' })), "noise is 'x', expected one of content, index, place"],
  [() => lib.drawSamples(any({}), { n: 1, seed: 0 }), 'drawSamples: model is an empty object'],
  [() => lib.loadModel(any(undefined)), 'loadModel: dir is undefined, expected a text'],
  [() => lib.loadOnnx(any(undefined)), 'loadOnnx: path is undefined, expected a text'],
  [() => lib.openData(any(['a.npy'])), "openData: spec is ['a.npy'], expected a text"],
  [() => lib.readDetector(any(3)), 'readDetector: path is 3, expected a text'],
  [() => lib.writeDetector('d.json', any({})), 'writeDetector: file is an empty object'],
  [() => lib.writeTable('t.json', any({})), 'writeTable: table is an empty object'],
  [() => lib.train(any({})), 'train: dir is undefined, expected a text'],
  [() => lib.runFeatures(any({})), 'runFeatures: extractor is undefined'],
  [() => lib.openScorer(any(undefined)), 'openScorer: options is undefined'],
  [() => lib.openScorer(any({ model })), 'openScorer: detector is undefined, expected a path, the bytes'],
  [() => lib.openScorer(any({ model: 3, detector: 'd.json' })), 'openScorer: model is 3, expected a path, the bytes'],
];

describe('arguments from plain JavaScript', () => {
  it.each(cases.map(([call, message]) => ({ message, call })))('$message', async ({ message, call }) => {
    const error = await (async () => call())().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(lib.FisherError);
    expect((error as Error).message).toContain(message);
  });
});
