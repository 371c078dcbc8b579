// The map of docs/architecture.md, held: a folder of src/ imports only from those above it in this list.

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const order = [
  'tensor',
  'graph',
  'ops',
  'autodiff',
  'onnx',
  'lower',
  'data',
  'engine',
  'objectives',
  'models',
  'store',
  'train',
  'densities',
  'features',
  'detectors',
  'eval',
  'scoring',
  'report',
  'web',
  'node',
  'paper',
  'cli',
];

/** Folders that know nothing of Node: what they import runs in a browser, too. */
const pure = new Set(order.filter((folder) => !['node', 'cli', 'paper'].includes(folder)));

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && path.includes('/'))
  .map((path) => ({ path: relative(src, join(src, path)), text: readFileSync(join(src, path), 'utf8') }));

/** Files that still reach into a folder below them. */
const transition = new Set<string>();

const importsOf = (text: string) =>
  [...text.matchAll(/from '([^']+)'|import\('([^']+)'\)|^import '([^']+)'/gm)].map((m) => m[1] ?? m[2] ?? m[3]!);

/**
 * What these files import, and what that imports, and so on; packages with the file that wants them. Types do not
 * count.
 */
function reachedFrom(paths: readonly string[]): Map<string, string> {
  const packages = new Map<string, string>();
  const seen = new Set<string>();
  const visit = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = readFileSync(join(src, path), 'utf8').replaceAll(/^(import|export) type [^;]*;/gms, '');
    for (const spec of importsOf(text)) {
      if (spec.startsWith('.')) visit(posix.join(posix.dirname(path), spec));
      else if (!packages.has(spec)) packages.set(spec, path);
    }
  };
  for (const path of paths) visit(path);
  return packages;
}

describe('the folders of src/', () => {
  it('are those of the list', () => {
    expect([...new Set(files.map((f) => f.path.split('/')[0]!))].sort()).toEqual(order.toSorted());
  });

  it('import only from those above them', () => {
    const wrong = files.flatMap(({ path, text }) => {
      if (transition.has(path)) return [];
      const folder = path.split('/')[0]!;
      return importsOf(text)
        .filter((spec) => spec.startsWith('.'))
        .map((spec) => posix.join(posix.dirname(path), spec).split('/'))
        .filter((parts) => parts.length > 1 && order.indexOf(parts[0]!) > order.indexOf(folder))
        .map((parts) => `${path} imports ${parts.join('/')}`);
    });
    expect(wrong).toEqual([]);
  });

  it('keep the runtime and the protobuf library behind one file each', () => {
    const users = (library: RegExp) =>
      files.filter(({ text }) => importsOf(text).some((spec) => library.test(spec))).map((f) => f.path);
    expect(users(/^onnxruntime/)).toEqual(['node/runtime.ts', 'web/runtime.ts']);
    expect(users(/^(onnx-buf|@bufbuild)/)).toEqual(['onnx/proto.ts']);
  });

  it('but node, cli and paper stand without Node, with all that they import', () => {
    const reached = reachedFrom(files.map((f) => f.path).filter((path) => pure.has(path.split('/')[0]!)));
    const hosts = [...reached].filter(([spec]) => /^(node:|sharp$|onnxruntime-node$|tar$|fs-native-)/.test(spec));
    expect(hosts).toEqual([]);
  });

  it('above node/ have nothing of Node’s at hand either', () => {
    const code = (text: string) => text.replaceAll(/\/\*.*?\*\/|\/\/[^\n]*/gs, '').replaceAll(/'[^'\n]*'/g, "''");
    const users = files.filter(
      ({ path, text }) =>
        pure.has(path.split('/')[0]!) && /(?<![.\w])(Buffer|process|setImmediate|__dirname)\b/.test(code(text)),
    );
    expect(users.map((f) => f.path)).toEqual([]);
  });

  it('draw the report of the paper without Node, from its results alone', () => {
    const drawn = files.map((f) => f.path).filter((path) => /^paper\/(\w+\/draw|report|results)\.ts$/.test(path));
    expect(drawn).toHaveLength(10);
    const hosts = [...reachedFrom(drawn)].filter(([spec]) => /^(node:|sharp$|onnxruntime-|tar$|fs-native-)/.test(spec));
    expect(hosts).toEqual([]);
  });

  it('are in docs/architecture.md, in this order', () => {
    const map = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8');
    const found = [...map.matchAll(/^ {4}(\w+)\/ /gm)].map((m) => m[1]!);
    expect(found).toEqual(order);
  });
});
