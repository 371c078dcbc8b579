// Options that messages of the library speak of, as flags.

import { expect, it } from 'vitest';
import { asFlags } from './terminal.ts';

it.each([
  ['say `pixels: [0, 1]` or `pixels: [-1, 1]`', 'say --pixels 0,1 or --pixels -1,1'],
  ['leave out `pixels`', 'leave out --pixels'],
  ['with `pad: [32, 32]`, `pad: [24, 32]`', 'with --pad 32, --pad 24x32'],
  ['`dataDir: /a b`: is not a folder', '--data-dir /a b: is not a folder'],
  ['left out (`leaveOut: true`)', 'left out (--skip-not-finite)'],
  ['give `constants: { mask: 0 }`', 'give --constant mask=0'],
  ["`integers: { 'x.t': [0, 999] }`, `dims: { h: N }`", '--integer x.t=0..999, --dim h=N'],
  ["`normal: ['eps']`, `uniform: ['a b']`, `loss: 'add'`", '--normal eps, --uniform a b, --loss add'],
  ['`objective: elbo`: `params` and `batch`', '--objective elbo: --params and --batch'],
  ['{"error":"with `column: a,b`"}', '{"error":"with --column a,b"}'],
  ['a layer `weight` and `no: option`', 'a layer `weight` and `no: option`'],
])('%s', (library, commandLine) => {
  expect(asFlags(library)).toBe(commandLine);
});
