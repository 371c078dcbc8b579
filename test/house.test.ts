// Rules of the house that a reader would otherwise have to watch: no import cycle, no file that nobody can read in one
// go.

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const src = fileURLToPath(new URL('../src', import.meta.url));
const files = new Map(
  readdirSync(src, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts') && !/\.(test|d)\.ts$/.test(path))
    .map((path) => [path, readFileSync(join(src, path), 'utf8')]),
);

/** What a file loads as it starts: neither types nor what it imports later. */
function loads(path: string): string[] {
  const found = files.get(path)!.matchAll(/^(?:import|export) (?!type )[^;]*?from '(\.[^']+)';/gms);
  return [...found]
    .filter(([text]) => !/^(?:import|export) \{(\s*type [^,}]+,?)+\s*\} from/.test(text))
    .map(([, spec]) => posix.join(posix.dirname(path), spec!));
}

it('no file is loaded by what it loads', () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, above: readonly string[]) => {
    if (above.includes(path)) cycles.push([...above.slice(above.indexOf(path)), path].join(' → '));
    if (done.has(path) || above.includes(path)) return;
    for (const next of loads(path)) visit(next, [...above, path]);
    done.add(path);
  };
  for (const path of [...files.keys()].sort()) visit(path, []);
  expect(cycles).toEqual([]);
  expect(loads('index.ts').length).toBeGreaterThan(5);
});

it('no file has more than 400 lines', () => {
  const long = [...files].filter(([, text]) => text.split('\n').length - 1 > 400).map(([path]) => path);
  expect(long).toEqual([]);
});

it('no comment is wider than 120 characters: npm run format wraps it', () => {
  const isWide = (line: string) =>
    line.length > 120 && /^\s*(\/\/|\*|\/\*\*) /.test(line) && !line.includes('biome-ignore');
  const wide = [...files].filter(([, text]) => text.split('\n').some(isWide));
  expect(wide.map(([path]) => path)).toEqual([]);
});

it('no line of code is wider than 120 characters, but for a text that stays whole so that it can be searched for', () => {
  const literal = /'(\\.|[^'\\])*'|"(\\.|[^"\\])*"|`[^`]*`?|^[^`]*`|\/(\\.|[^/\\])+\/\w*/g;
  const isWide = (line: string) =>
    line.length > 120 && !(line.match(literal) ?? []).some((text) => text.length > 40) && !line.includes('${');
  const wide = [...files].flatMap(([path, text]) =>
    text
      .split('\n')
      .filter(isWide)
      .map((line) => `${path}: ${line}`),
  );
  expect(wide).toEqual([]);
});

it('no op is told from others by its name', () => {
  const naming = [...files].filter(([, text]) => /\bop\.name [!=]==|\bname [!=]== '[A-Z]\w+'/.test(text));
  expect(naming.map(([path]) => path)).toEqual([]);
});

it('no message of the library speaks of flags, which its command line alone has', () => {
  const own = /^(cli|paper)\/|^report\/page\.ts$/; // the page has variables of CSS
  const flagged = [...files].filter(([path, text]) => !own.test(path) && /['"`( ]--[a-z]/.test(text));
  expect(flagged.map(([path]) => path)).toEqual([]);
});
