// Scores inputs with an ONNX model from code: fit on ordinary inputs, then judge new ones.
//
//     npx tsx examples/node/score.ts MODEL.onnx ORDINARY.npz NEW.npz

import {
  explain,
  fitDetectors,
  loadOnnx,
  openData,
  openExtractor,
  parseObjective,
  scoreTable,
  verdicts,
} from 'fisher-ood';

const [path, ordinary, fresh] = process.argv.slice(2);
if (!path || !ordinary || !fresh) throw new Error('usage: score.ts MODEL.onnx ORDINARY.npz NEW.npz');

// The network gives latent and log-determinant; the loss is made of them. Leave `objective` out for a model that gives a loss.
const model = await loadOnnx(path, { objective: parseObjective('flow') });
const extractor = await openExtractor(model, { group: 1, seed: 0 });
const detector = fitDetectors([await extractor.table(await openData(ordinary))]);

const table = await extractor.table(await openData(fresh));
const scored = scoreTable(detector, table).find((s) => s.detector === 'layer-norms')!;
const out = verdicts(scored, 0.05);
const layers = explain(detector.groups[0]!.detectors['layer-norms']!.params, table);
for (let i = 0; i < table.nll.length; i++) {
  if (!out[i]) continue;
  const z = layers.zScores.subarray(i * layers.names.length, (i + 1) * layers.names.length);
  const loudest = layers.names[z.indexOf(Math.max(...z))];
  console.log(
    `input ${i}: score ${scored.scores[i]!.toFixed(1)}, p = ${scored.pValues[i]!.toPrecision(2)}, loudest in ${loudest}`,
  );
}
await extractor.dispose();
