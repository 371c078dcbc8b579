// fisher-ood inspect: a model in; its inputs, parameters and how each norm will be computed out.

import { existsSync } from 'node:fs';
import { defined, filled } from '../defined.ts';
import { ModelError } from '../errors.ts';
import { alignColumns } from '../eval/index.ts';
import { guessRoles, normGraph, roleText, splitLoss, type View } from '../features/index.ts';
import { inputsOf, nameOf } from '../graph/index.ts';
import { chooseBatch, countMultiplications, describeNorms, estimateMemory } from '../lower/index.ts';
import { readDetector, summariseOnnxFile } from '../node/index.ts';
import { nodeRuntime } from '../node/runtime.ts';
import { cureOf } from '../onnx/index.ts';
import { combinedMultiplications } from '../scoring/index.ts';
import type { ScoringModel } from '../store/index.ts';
import type { Command } from './command.ts';
import { combinedLines, combinedSummary, droppedLines, summaryOf } from './dropped.ts';
import { modelRecipe, openModel, saidRole, withRoles } from './models.ts';
import { whole } from './options.ts';
import { foldedNames, parameterNotes, parameterTables, stopsOf } from './parameters.ts';
import { print } from './terminal.ts';

export const inspectCommand: Command = {
  async run([path], values, options) {
    if (path!.toLowerCase().endsWith('.json') && Object.keys(modelRecipe(values)).length === 0)
      return inspectDetector(path!, options.json);
    const group = whole(values, 'group', 1) ?? 1;
    const model = await openModel(path!, values).catch((error: unknown) => explain(path!, options.json, error));
    const batchLoss = await model.batchLoss?.({ runtime: nodeRuntime() });
    const { graph, norms, names } = normGraph(model.loss());
    const { parts, views, norms: ofNorms } = viewCosts(model, group);
    const costs = describeNorms(graph, norms, group);
    const memory = estimateMemory(graph, group);
    const inputs = inputsOf(graph).map((v) => ({
      name: nameOf(v),
      shape: v.shape,
      ...(model.declared?.[nameOf(v)] ? { declared: ['n', ...model.declared[nameOf(v)]!] } : {}),
      from: v.source.kind === 'input' ? v.source.from : 'data',
      ...(v.source.kind === 'input' && v.source.range ? { range: v.source.range } : {}),
    }));
    const { free = [] } = model;
    const { guessed } = Object.keys(model.inputs).length > 1 ? guessRoles(model, []) : { guessed: [] };
    const roles = guessed.map(saidRole);
    const settled = roles.length === 0 ? model : await openModel(path!, withRoles(values, roles));
    const combined = combinedMultiplications(settled);
    const aspects = Object.keys(settled.aspects?.() ?? {});
    const parameters = names.map((name, j) => ({ name, shape: model.weights[name]!.shape, ...costs[j]! }));
    const { doubtful = [], declared } = model.parameters ?? {};
    const result = {
      about: model.about,
      hash: model.hash,
      inputs,
      ...(free.length > 0 ? { free } : {}),
      ...(model.notes && model.notes.length > 0 ? { notes: model.notes } : {}),
      ...filled({ roles, aspects }),
      parameters,
      parts,
      views,
      combined,
      ...defined({ declared }),
      folded: foldedNames(model),
      doubtful,
      stopped: stopsOf(model),
      ...defined({ batchLoss }),
      memoryPerExample: memory.perExample,
      batch: options.batch ?? chooseBatch(memory, group, options.memory),
    };
    if (options.json) return print(JSON.stringify(result));
    const total = parameters.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0);
    print(`${path}: ${model.about}`);
    print(`hash ${model.hash}`);
    if (batchLoss?.note !== undefined) print(batchLoss.note);
    print('');
    const rows = inputs.map((v) => [
      v.name,
      `[${(v.declared ?? v.shape).join(', ')}]`,
      v.range ? `${v.from} ${v.range[0]}..${v.range[1]}` : v.from,
    ]);
    print(alignColumns([['input', 'shape', 'from'], ...rows]));
    for (const line of freeLines(free)) print(line);
    for (const role of guessed) print(roleText(role));
    print('');
    print(
      alignColumns([
        ['parameter', 'shape', 'norm', 'multiplications'],
        ...parameters.map((p) => [p.name, `[${p.shape.join(', ')}]`, p.plan, String(Math.round(p.multiplications))]),
      ]),
    );
    print(`\n${parameters.length} tensors, ${total} parameters`);
    print(`more with --features, in multiplications: ${costText(views)}`);
    const times = group === 1 ? `, ${(combined / ofNorms).toFixed(1)} times those of the norms` : '';
    const at = aspects.length > 0 ? `, at ${aspects.join(', ')} together` : '';
    print(`the combined detector, multiplications for each draw of the noise: ${Math.round(combined)}${times}${at}`);
    if (parts.length > 0) print(`parts: ${[...parts.slice(0, 6), ...(parts.length > 6 ? ['…'] : [])].join(', ')}`);
    for (const table of parameterTables(model)) print(`\n${table}`);
    for (const line of parameterNotes(model)) print(line);
    print(`about ${(memory.perExample / 2 ** 20).toFixed(1)} MiB for each example, batches of ${result.batch}`);
  },
};

/**
 * What the parts of the loss are called, what the norms take and each view beside them, in multiplications for each
 * example.
 */
function viewCosts(model: ScoringModel, group: number) {
  const count = (make: (split: ReturnType<typeof splitLoss>) => Parameters<typeof normGraph>[1]) => {
    const split = splitLoss(model);
    const measured = normGraph(split.nll, make(split));
    return { parts: measured.parts, cost: countMultiplications(measured.graph, group) };
  };
  const { cost: plain } = count(() => ({}));
  const { parts, cost } = count((split) => ({ parts: split.parts() }));
  const views: Partial<Record<View, number>> = {
    radial: count(() => ({ radial: true })).cost - plain,
    fisher: count(() => ({ fisher: true, factored: 'diagonal' })).cost - plain,
    ...(parts.length > 0 ? { parts: cost - plain } : {}),
  };
  return { parts, views, norms: plain };
}

const costText = (views: Partial<Record<View, number>>) =>
  Object.entries(views)
    .map(([view, cost]) => `${view} ${Math.round(cost)}`)
    .join(', ');

/** Sizes that the file leaves open, what says them, and at which all that follows is computed. */
function freeLines(free: NonNullable<ScoringModel['free']>): string[] {
  if (free.length === 0) return [];
  const each = free.map(
    (f) => `${f.name} (axis ${f.axes.map((place) => place.replace(/^(.*)\.(\d+)$/, '$2 of $1')).join(', axis ')})`,
  );
  const dims = free.map((f) => `--dim ${f.name}=${f.size}`).join(' ');
  return [
    `open sizes: ${each.join(', ')}; the data say them, or --dim ${free[0]!.name}=N. What follows is for ${dims}`,
  ];
}

/** What a detector was fitted on, and which layers its detectors do without. */
async function inspectDetector(path: string, json: boolean): Promise<void> {
  const detector = await readDetector(path);
  const { model, data, seed, noise, noiseSamples = 1, views = [], metric, names, groups, recipe } = detector;
  const fitted = groups.map(summaryOf);
  const result = {
    model,
    data: data.name,
    seed,
    noise: noise ?? 'place',
    noiseSamples,
    views,
    ...(metric ? { metric: { hash: metric.hash, tensors: Object.keys(metric.tensors).length } } : {}),
    layers: names.length,
    groups: fitted,
    ...combinedSummary(detector),
    recipe,
  };
  if (json) return print(JSON.stringify(result));
  print(`${path}: fitted on ${data.name} with model ${model.slice(0, 12)}, ${names.length} layers`);
  print(`seed ${seed}, noise by ${result.noise}${noiseSamples === 1 ? '' : `, ${noiseSamples} draws of it`}`);
  if (views.length > 0)
    print(`features: norms, ${views.join(', ')}${metric ? `, metric ${metric.hash.slice(0, 12)}` : ''}`);
  const { combined } = combinedSummary(detector);
  if (combined) {
    const of = combined.aspects ? ` at ${combined.aspects.join(', ')}` : '';
    const draws = combined.noiseSamples === 1 ? '' : `, ${combined.noiseSamples} draws of the noise`;
    print(
      `combined: ${combined.views.join(', ')}${of}; fitted on ${combined.n} inputs for B = ${combined.groups.join(', ')}${draws}`,
    );
    for (const line of combinedLines(detector)) print(`  ${line.replace('combined: ', '')}`);
  }
  for (const { group, n, detectors, notFinite = [], dropped = {} } of fitted) {
    print(`B = ${group}: ${detectors.join(', ')} fitted on ${n} groups`);
    if (notFinite.length > 0) print(`  without ${notFinite.length} groups that are not finite`);
    for (const line of droppedLines(dropped)) print(`  ${line}`);
  }
}

/** Says what an ONNX file holds and what stops it, before the error goes on. */
async function explain(path: string, json: boolean, error: unknown): Promise<never> {
  if (!(error instanceof ModelError) || !path.endsWith('.onnx') || !existsSync(path)) throw error;
  const summary = await summariseOnnxFile(path);
  if (json) {
    print(JSON.stringify({ error: error.message, ...summary, folded: summary.folded.map((f) => f.name) }));
    throw error;
  }
  const { opset, inputs, outputs, operators, unsupported, folded } = summary;
  print(`${path}: ONNX model, opset ${opset}`);
  for (const v of inputs) print(`  input   ${v.name}  ${v.dtype} [${v.shape.join(', ')}]`);
  for (const name of outputs) print(`  output  ${name}`);
  const counts = Object.entries(operators).map(([op, count]) => `${op} ×${count}`);
  print(`  nodes   ${counts.join(', ')}`);
  for (const { name, reason } of folded) print(`  not in the file: ${name}, ${reason}`);
  for (const operator of new Set(unsupported.map((u) => u.operator))) {
    const nodes = unsupported.filter((u) => u.operator === operator);
    const many = nodes.length > 1 ? `${nodes.length} nodes, the first ` : 'node ';
    print(`  not supported: ${operator}, ${many}'${nodes[0]!.node}'; ${cureOf(operator)}`);
  }
  throw error;
}
