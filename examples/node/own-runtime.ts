// A runtime of your own: what runs the graphs. This one has another do the work, and tells how long each batch took.
//
//     npx tsx examples/node/own-runtime.ts MODEL DETECTOR.json PICTURES

import { nodeRuntime, openScorer, type Runtime } from 'fisher-ood';

/**
 * `inner`, with a line for every run. One that does all by itself opens a session for the bytes of an ONNX graph, see
 * `Runtime`.
 */
function timed(inner: Runtime): Runtime {
  return {
    ...inner,
    async open(model, options) {
      const session = await inner.open(model, options);
      return {
        async run(feeds) {
          const began = performance.now();
          const outputs = await session.run(feeds);
          const examples = Object.values(feeds)[0]?.shape[0];
          console.log(`${examples} examples in ${(performance.now() - began).toFixed(0)} ms`);
          return outputs;
        },
        dispose: () => session.dispose(),
      };
    },
  };
}

const [model, detector, pictures] = process.argv.slice(2);
if (!model || !detector || !pictures) throw new Error('usage: own-runtime.ts MODEL DETECTOR.json PICTURES');
const scorer = await openScorer({ model, detector, runtime: timed(nodeRuntime()) });
for (const { index, verdict } of await scorer.score(pictures)) console.log(`${index}: ${verdict}`);
await scorer.dispose();
