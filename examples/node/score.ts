// Scores inputs with an ONNX model from code: fit on ordinary inputs, then judge new ones.
//
//     npx tsx examples/node/score.ts MODEL.onnx ORDINARY.npz NEW.npz

import { fitDetectors, loadOnnx, openData, openExtractor, openScorer, parseObjective } from 'fisher-ood';

const [path, ordinary, fresh] = process.argv.slice(2);
if (!path || !ordinary || !fresh) throw new Error('usage: score.ts MODEL.onnx ORDINARY.npz NEW.npz');

// The network gives latent and log-determinant; the loss is made of them. Leave `objective` out for a model that gives
// a loss.
const model = await loadOnnx(path, { objective: parseObjective('flow') });
const extractor = await openExtractor(model, { group: 1, seed: 0 });
const detector = fitDetectors([await extractor.table(await openData(ordinary))]);
await extractor.dispose();

const scorer = await openScorer({ model, detector });
for (const { index, score, pValue, verdict, layers } of await scorer.score(fresh)) {
  if (verdict !== 'out') continue;
  console.log(
    `input ${index}: score ${score!.toFixed(1)}, p = ${pValue!.toPrecision(2)}, loudest in ${layers[0]!.name}`,
  );
}
await scorer.dispose();
