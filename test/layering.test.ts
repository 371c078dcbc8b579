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
  'runtime',
  'objectives',
  'models',
  'store',
  'train',
  'features',
  'detectors',
  'eval',
  'analysis',
  'experiment',
  'report',
  'reproduce',
  'cli',
];

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && path.includes('/'))
  .map((path) => ({ path: relative(src, join(src, path)), text: readFileSync(join(src, path), 'utf8') }));

const importsOf = (text: string) => [...text.matchAll(/from '([^']+)'|import\('([^']+)'\)/g)].map((m) => m[1] ?? m[2]!);

describe('the folders of src/', () => {
  it('are those of the list', () => {
    expect([...new Set(files.map((f) => f.path.split('/')[0]!))].sort()).toEqual(order.toSorted());
  });

  it('import only from those above them', () => {
    const wrong = files.flatMap(({ path, text }) => {
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
    expect(users(/^onnxruntime/)).toEqual(['runtime/node.ts']);
    expect(users(/^(onnx-buf|@bufbuild)/)).toEqual(['onnx/proto.ts']);
  });

  it('are in docs/architecture.md, in this order', () => {
    const map = readFileSync(join(root, 'docs', 'architecture.md'), 'utf8');
    const found = [...map.matchAll(/^ {4}(\w+)\/ /gm)].map((m) => m[1]!);
    expect(found).toEqual(order);
  });
});
