// fisher-ood check: an ONNX model and right answers for a few examples in; whether its losses and norms are those out.

import { defined } from '../defined.ts';
import { FisherError } from '../errors.ts';
import { alignColumns } from '../eval/index.ts';
import type { Comparison, LayerAnswer } from '../features/index.ts';
import { compareAnswers } from '../node/defaults.ts';
import { readAnswers } from '../node/index.ts';
import type { Command } from './command.ts';
import { runtimeOf } from './machine.ts';
import { openModel } from './models.ts';
import { text } from './options.ts';
import { print } from './terminal.ts';

export const checkCommand: Command = {
  async run([path, answersPath], values, options) {
    const answers = await readAnswers(answersPath!, text(values, 'inputs'));
    const model = await openModel(path!, values);
    const { threads } = options;
    const how = { runtime: runtimeOf(options), ...defined({ threads }) };
    const found = await compareAnswers(model, answers, how);
    const { folded = [], doubtful = [] } = model.parameters ?? {};
    const unsure = doubtful.filter((d) => d.parameter).map((d) => d.name);
    if (options.json) print(JSON.stringify({ ...found, folded: folded.map((f) => f.name), unsure }));
    else report(path!, found, new Map(folded.map((f) => [f.name, f.reason])), unsure);
    if (!found.exact) throw new FisherError(`${path}: is not exact: ${summary(found)}`);
  },
};

/** `folded`: reasons why parameters are not in the file, by name; `unsure`: tensors that may be none. */
function report(path: string, found: Comparison, folded: ReadonlyMap<string, string>, unsure: readonly string[]): void {
  const worst = Math.max(found.nllError, ...found.layers.map(({ relativeError = 0 }) => relativeError));
  if (found.exact) {
    print(
      `${path}: exact: ${found.layers.length} layers of ${found.examples} examples, largest relative error ${worst.toExponential(1)}`,
    );
    return;
  }
  const why = {
    exact: '',
    differs: 'its number is another',
    renamed: 'right; the file calls it',
    missing: 'not in the file under this name: folded, fused or merged by the exporter',
    extra: 'no parameter of the original',
  } satisfies Record<LayerAnswer['verdict'], string>;
  const rows = found.layers.map(({ name, verdict, relativeError, as }) => [
    name,
    verdict,
    relativeError === undefined ? '' : relativeError.toExponential(1),
    verdict === 'renamed'
      ? `${why[verdict]} ${as}`
      : verdict === 'missing' && folded.has(name)
        ? `not in the file: ${folded.get(name)}`
        : verdict === 'extra' && unsure.includes(name)
          ? 'no parameter of the original; leave it out with --params'
          : why[verdict],
  ]);
  print(alignColumns([['layer', 'verdict', 'relative error', ''], ...rows]));
  print(`loss: relative error ${found.nllError.toExponential(1)}`);
}

function summary({ layers }: Comparison): string {
  const words = { differs: 'differ', renamed: 'renamed', missing: 'missing', extra: 'too many' } as const;
  const counted = (['differs', 'renamed', 'missing', 'extra'] as const).flatMap((verdict) => {
    const count = layers.filter((layer) => layer.verdict === verdict).length;
    return count === 0 ? [] : [`${count} ${words[verdict]}`];
  });
  return counted.length === 0 ? 'the loss differs' : `of ${layers.length} layers ${counted.join(', ')}`;
}
