// Arguments: values in every form that people write them in, and values that are missing.

import { describe, expect, it } from 'vitest';
import { UsageError } from '../errors.ts';
import { parse } from './options.ts';
import { commands } from './usage/index.ts';
import { commonOptions, type Options } from './usage/options.ts';

const all = Object.entries(commands).map(([name, { options }]): [string, Options] => [
  name,
  { ...options, ...commonOptions },
]);
const taking = (options: Options) => Object.entries(options).filter(([, option]) => option.type === 'string');

describe.each(all)('%s', (_, options) => {
  it('takes any value for each option, apart and with =', () => {
    for (const [name, { multiple }] of taking(options)) {
      for (const value of ['-1,1', '-', '-x', '-0.5', 'a=b', '-a=-b', '-1 2\n3']) {
        const expected = { values: { [name]: multiple ? [value] : value, json: true }, positionals: ['first', 'last'] };
        expect(parse(['first', `--${name}`, value, '--json', 'last'], options)).toEqual(expected);
        expect(parse(['first', `--${name}=${value}`, '--json', 'last'], options)).toEqual(expected);
      }
      expect(parse([`--${name}=--json`], options).values[name]).toEqual(multiple ? ['--json'] : '--json');
    }
  });

  it('finds for each option that its value is missing', () => {
    for (const [name] of taking(options)) {
      for (const value of [[], ['--json'], ['--'], ['']]) {
        expect(() => parse([`--${name}`, ...value], options)).toThrow(UsageError);
        expect(() => parse([`--${name}`, ...value], options)).toThrow(`--${name} is`);
      }
      expect(() => parse([`--${name}=`], options)).toThrow(`--${name} is given an empty value`);
    }
  });
});

it('says what was meant where a value is missing', () => {
  const options: Options = { out: { type: 'string', value: 'FILE', about: '' }, ...commonOptions };
  expect(() => parse(['--out', '--json'], options)).toThrow(
    "--out is followed by '--json', expected --out FILE; a value that starts with -- is written --out=--json",
  );
  expect(() => parse(['--out'], options)).toThrow('--out is without value, expected --out FILE');
  expect(() => parse(['--out='], options)).toThrow('--out is given an empty value, expected --out FILE');
});

it('takes what comes after -- as it is, and nothing that is not declared', () => {
  expect(parse(['--json', '--', '--out', '-1'], commonOptions).positionals).toEqual(['--out', '-1']);
  for (const args of [['--nothing'], ['--constructor', 'x'], ['--__proto__=x'], ['-x'], ['--json=yes']]) {
    expect(() => parse(args, commonOptions)).toThrow(UsageError);
  }
});
