// Damage to a JSON value.

import type { Dice } from './format.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Stands for a list nested 20 000 deep, which JSON.stringify could not write. */
const DEEP = '(deep)';

const oddJson: readonly (() => Json)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 0.5,
  () => 1e308,
  () => -1e308,
  () => 5e-324,
  () => 2 ** 53,
  () => 4294967296,
  () => '',
  () => '\0',
  () => 'nll',
  () => '__proto__',
  () => 'x'.repeat(20_000),
  () => [],
  () => ({}),
  () => JSON.parse('{"__proto__": {"shape": [1]}}') as Json,
  () => DEEP,
  () => Array.from({ length: 3000 }, (_, i) => i),
];

function damageJson(dice: Dice, root: Json): Json {
  const places: { readonly at: Json[] | { [key: string]: Json }; readonly key: string }[] = [];
  const visit = (value: Json) => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      places.push({ at: value, key });
      visit(inner);
    }
  };
  visit(root);
  if (places.length === 0) return dice.pick(oddJson)();
  const { at, key } = dice.pick(places);
  const value = (at as Record<string, Json>)[key]!;
  const set = (inner: Json) => {
    (at as Record<string, Json>)[key] = inner;
  };
  switch (dice.below(6)) {
    case 0: {
      const other = dice.pick(places);
      set(structuredClone((other.at as Record<string, Json>)[other.key]!));
      break;
    }
    case 1:
      if (Array.isArray(at)) at.splice(Number(key), 1);
      else delete at[key];
      break;
    case 2:
      if (Array.isArray(at)) at.splice(Number(key), 0, structuredClone(value));
      else
        Object.defineProperty(at, dice.pick([`${key}x`, '__proto__', 'constructor', '']), {
          value,
          enumerable: true,
          writable: true,
          configurable: true,
        });
      break;
    case 3:
      if (typeof value === 'number') set(dice.pick([-value, value + 1, value * 1e9, value / 1e9, Math.floor(value)]));
      else set(dice.pick(oddJson)());
      break;
    default:
      set(dice.pick(oddJson)());
  }
  return root;
}

export function insideJson(dice: Dice, bytes: Uint8Array): Uint8Array {
  let root = JSON.parse(new TextDecoder().decode(bytes)) as Json;
  for (let i = dice.chance(0.7) ? 1 : 3; i > 0; i--) root = damageJson(dice, root);
  const text = JSON.stringify(root).replaceAll(`"${DEEP}"`, `${'['.repeat(20_000)}${']'.repeat(20_000)}`);
  return new TextEncoder().encode(text);
}
