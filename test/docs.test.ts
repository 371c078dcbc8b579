// Every command that stands in README.md, docs/ or a help text: its arguments are right, and where its inputs are at
// hand it is run.
//
// In a folder that holds what the texts speak of, as far as it can be made of what is shipped: pictures, the shipped
// model, a flow as an ONNX file. What needs more, such as known data sets, ends with 1 (failed), never with 2 (wrong
// usage).

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from '../src/cli/options.ts';
import { commands, helpText } from '../src/cli/usage/index.ts';
import { commonOptions } from '../src/cli/usage/options.ts';
import { encodePng } from '../src/data/index.ts';
import { writeNpz } from '../src/data/npy.ts';
import { knownSets, openData } from '../src/node/index.ts';
import { encode } from '../src/onnx/index.ts';
import { runCli, temporaryFolder } from './support/cli.ts';
import { network, node } from './support/onnx.ts';
import { randomData } from './support/run.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((p) => `docs/${p}`),
]
  .filter((path) => path.endsWith('.md'))
  .sort();
const textOf = (page: string) => readFileSync(join(root, page), 'utf8');

/** The lines of code blocks, indented or fenced, with continued lines joined. */
function codeLines(text: string): string[] {
  let fenced = false;
  const lines = text.split('\n').flatMap((line) => {
    if (line.startsWith('```')) {
      fenced = !fenced;
      return [];
    }
    return fenced || line.startsWith('    ') ? [line.trim()] : [];
  });
  return lines.join('\n').replaceAll(/\\\n/g, ' ').split('\n');
}

/** The words of a shell command, comments left out. */
function words(command: string): string[] {
  const found = command.matchAll(/\s*(?:#.*|((?:'[^']*'|"[^"]*"|\\.|[^\s'"\\])+))/g);
  return [...found].flatMap(([, word]) =>
    word === undefined ? [] : [word.replaceAll(/'([^']*)'|"([^"]*)"|\\(.)/g, '$1$2$3')],
  );
}

/** The commands of ours in lines of a shell. */
function ours(lines: readonly string[]): string[][] {
  return lines
    .flatMap((line) => line.replace(/^\$ /, '').split(' && '))
    .map(words)
    .flatMap((all) => {
      const [first, second, ...rest] = all;
      if (first === 'npx' && second === 'fisher-ood') return [rest];
      return first === 'fisher-ood' && second !== undefined ? [[second, ...rest]] : [];
    });
}

const documented = pages.flatMap((page) => ours(codeLines(textOf(page))).map((args) => ({ page, args })));
const helped = Object.entries(commands).flatMap(([name, { examples }]) =>
  examples.map((example) => ({ page: `${name} --help`, args: words(example) })),
);

const sandbox = temporaryFolder();
const cwd = process.cwd();
beforeAll(async () => {
  process.chdir(sandbox.path);
  cpSync(join(root, 'models'), 'models', { recursive: true });
  const pictures = await openData('sample/fashion-mnist');
  let next = 0;
  for (const [folder, n] of Object.entries({ images: 80, 'held-out': 40, new: 6, more: 10, others: 10 })) {
    mkdirSync(folder);
    for (let i = 0; i < n; i++, next++) {
      const { data, shape } = (await pictures.gather([next])).arrays.x!;
      const picture = encodePng({ data: data as Float32Array, shape: shape.slice(1) });
      writeFileSync(join(folder, `${String(i).padStart(3, '0')}.png`), picture);
    }
  }
  const nodes = [node('MatMul', ['x', 'w'], 'z'), node('ReduceSum', ['scale'], 'logdet', { keepdims: 1 })];
  writeFileSync('flow.onnx', encode(network({ x: [4] }, { w: [4, 4], scale: [4] }, nodes, ['z', 'logdet'])));
  const x = { dtype: 'float32', shape: [60, 4], data: randomData('x', 240) } as const;
  writeFileSync('ordinary.npz', writeNpz({ x }));
});
afterAll(async () => {
  process.chdir(cwd);
  await sandbox.remove();
});

/** Parsed as the command line parses it; throws UsageError. */
function parsed([name, ...args]: readonly string[]) {
  expect(Object.keys(commands)).toContain(name);
  const command = commands[name as keyof typeof commands];
  const { values, positionals } = parse(args, { ...command.options, ...commonOptions });
  const { positionals: count } = command;
  const { least, most } = typeof count === 'number' ? { least: count, most: count } : count;
  expect(positionals.length).toBeGreaterThanOrEqual(least);
  expect(positionals.length).toBeLessThanOrEqual(most);
  return { name, values, positionals };
}

/** Whether all that a command reads is there: files, folders, samples, what is made up. */
function atHand(args: readonly string[]): boolean {
  const { name, values, positionals } = parsed(args);
  const isThere = (spec: string) => {
    const plain = spec.replace(/\[\d*:\d*\]$/, '');
    const set = plain.split(':')[0]!;
    return /^(sample\/|(constant|noise)(:|$))/.test(plain) || (!Object.hasOwn(knownSets, set) && existsSync(plain));
  };
  const sets = ['data', 'in'].flatMap((option) => (typeof values[option] === 'string' ? [values[option]] : []));
  const pairs = Array.isArray(values.ood) ? values.ood.map((pair) => String(pair).replace(/^[^=]*=/, '')) : [];
  const files = name === 'data' || name === 'train' ? [] : positionals;
  return [...sets, ...pairs].every(isThere) && files.every((file) => existsSync(file));
}

/** Run elsewhere, or only with a network or hours of time. */
const isRunElsewhere = ([name, what]: readonly string[]) =>
  name === 'demo' || name === 'reproduce' || (name === 'data' && what === 'get');

it('finds the commands', () => {
  expect(documented.length).toBeGreaterThan(25);
  expect(new Set(documented.map(({ args }) => args[0])).size).toBeGreaterThan(8);
  expect(words("fit a.onnx --data 'x[0:5]' --config '{\"a\": 1}' # why")).toEqual([
    'fit',
    'a.onnx',
    '--data',
    'x[0:5]',
    '--config',
    '{"a": 1}',
  ]);
});

describe('commands in the order of their page', () => {
  const all = documented.map(({ page, args }) => [page, args.join(' '), args] as const);

  it.each(all)('%s: %s', { timeout: 600_000 }, async (_, __, args) => {
    parsed(args);
    if (isRunElsewhere(args)) return;
    const runs = atHand(args);
    // Known sets may lie on this machine, where nobody wants hours of training now.
    const { code, stderr } = await runCli(...args, ...(runs ? [] : ['--data-dir', 'no-such-folder']));
    expect([code, code === 0 ? '' : stderr]).toEqual([runs ? 0 : 1, runs ? '' : expect.any(String)]);
    expect(stderr).not.toContain('bug in fisher-ood');
  });

  it('of which those of the first steps have been run', () => {
    for (const made of ['model/weights.safetensors', 'detector.json', 'report.html']) {
      expect(existsSync(made), made).toBe(true);
    }
  });
});

it.each(helped.map(({ page, args }) => [page, args.join(' '), args] as const))('%s: %s', async (_, __, args) => {
  const { name } = parsed(args);
  // Those that read data are to show the options, and may take long.
  if ((name === 'inspect' || name === 'sample') && atHand(args)) expect((await runCli(...args)).code).toBe(0);
});

describe('in running text', () => {
  const spans = pages.flatMap((page) =>
    [...textOf(page).matchAll(/`([^`\n]+)`/g)].map(([, code]) => [page, code!] as const),
  );
  /** Of programs that are not the command line. */
  const foreign = new Set(['--count', '--models', '--batches', '--rounds']);

  it.each(spans.filter(([, code]) => /^--[a-z]/.test(code)))('%s: the option %s', (_, code) => {
    const args = words(code);
    if (foreign.has(args[0]!)) return;
    const [name] = /[a-z-]+/.exec(args[0]!.slice(2))!;
    const having = Object.entries(commands).filter(([, { options }]) =>
      Object.hasOwn({ ...options, ...commonOptions }, name),
    );
    expect(having.map(([command]) => command)).not.toEqual([]);
    const isAlone = args.length === 1 && !code.includes('=');
    for (const [, { options }] of having) if (!isAlone) parse(args, { ...options, ...commonOptions });
  });

  it.each(spans.filter(([, code]) => /^(npx )?fisher-ood [a-z]/.test(code)))('%s: %s', (_, code) => {
    const [args] = ours([code]);
    expect(Object.keys(commands)).toContain(args![0]);
    if (args!.length > 1) parsed(args!);
  });

  it.each(
    pages.flatMap((page) => [...textOf(page).matchAll(/npm run ([a-z:-]+)/g)].map((m) => [page, m[1]!] as const)),
  )('%s: npm run %s', (_, script) => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: object };
    expect(Object.keys(scripts)).toContain(script);
  });

  it.each(pages)('%s: every option it names in code or text is one', async (page) => {
    const known = new Set(
      Object.values(commands).flatMap(({ options }) => Object.keys({ ...options, ...commonOptions })),
    );
    const helps = (await Promise.all(Object.entries(commands).map(([name, usage]) => helpText(name, usage)))).join(
      '\n',
    );
    const lines = ours(codeLines(textOf(page))).flat();
    const named = lines.flatMap((word) => /^--([a-z-]+)/.exec(word)?.[1] ?? []);
    for (const option of named) expect([...known], `${dirname(page)}: --${option}`).toContain(option);
    for (const option of named) expect(helps).toContain(`--${option}`);
  });
});
