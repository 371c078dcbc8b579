// fisher-ood demo: the shipped model and samples in; the table of detectors and an HTML page out.

import { fileURLToPath } from 'node:url';
import { formatResults } from '../eval/index.ts';
import { fitAndEvaluate } from '../node/defaults.ts';
import { writeFileAtomic } from '../node/index.ts';
import type { Command } from './command.ts';
import { openImages } from './datasets.ts';
import { featureOptions, noiseOf, openFor, openModel } from './models.ts';
import { failOnOdd, oddIn, sayOdd } from './not-finite.ts';
import { text } from './options.ts';
import { figures, reportOf } from './reporting.ts';
import { endProgress, print, say } from './terminal.ts';

const shippedModel = fileURLToPath(new URL('../../models/glow-fashion-mnist', import.meta.url));

const defaultOut = 'fisher-ood-demo.html';

export const demoCommand: Command = {
  writes: (_, values) => ({
    files: [text(values, 'out') ?? defaultOut, text(values, 'overview')],
    reads: [text(values, 'model') ?? shippedModel],
  }),

  async run(_positionals, values, options) {
    const out = text(values, 'out') ?? defaultOut;
    const model = await openModel(text(values, 'model') ?? shippedModel);
    const fashion = 'sample/fashion-mnist';
    const like = (await openImages(fashion, options)).shapes.x!;
    const open = (spec: string) => openFor(model, spec, options, like);
    const [fit, held, mnist, constant, noise] = await Promise.all(
      [`${fashion}[0:1000]`, `${fashion}[1000:2000]`, 'sample/mnist', 'constant:500', 'noise:500'].map(open),
    );
    say('Fits on 1,000 Fashion-MNIST test images, then scores 1,000 others and 2,000 images of other kinds');
    const result = await fitAndEvaluate(
      model,
      { name: 'fit', data: fit! },
      { name: 'fashion-mnist', data: held! },
      [
        { name: 'mnist', data: mnist! },
        { name: 'constant', data: constant! },
        { name: 'noise', data: noise! },
      ],
      featureOptions(options, [1, 5], { noise: noiseOf(values) }),
    );
    endProgress();
    const { overviewSvg, reportHtml } = await figures();
    const content = await reportOf(
      model,
      result,
      'A Glow trained on Fashion-MNIST meets other images',
      'fisher-ood demo',
    );
    await writeFileAtomic(out, reportHtml(content));
    const overview = text(values, 'overview');
    if (overview !== undefined) await writeFileAtomic(overview, overviewSvg(content));
    print(options.json ? JSON.stringify({ results: result.rows }) : formatResults(result.rows));
    say(`\nFigures: ${out}`);
    const odd = [result.inSet, ...result.oodSets].flatMap(oddIn);
    sayOdd(odd);
    failOnOdd(odd);
  },
};
