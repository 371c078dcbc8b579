// Damage to bytes, whatever they mean.

import type { Dice } from './format.ts';

const odd32 = [0, 1, 2, 127, 128, 255, 256, 65535, 65536, 2 ** 24, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const oddBytes = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];

function place(dice: Dice, length: number): number {
  const where = dice.below(10);
  if (where < 2) return dice.below(Math.min(64, length));
  if (where < 4) return length - 1 - dice.below(Math.min(64, length));
  return dice.below(length);
}

type Damage = (dice: Dice, bytes: Uint8Array, others: readonly Uint8Array[]) => Uint8Array;

const damages: readonly Damage[] = [
  function flip(dice, bytes) {
    const at = place(dice, bytes.length);
    return bytes.with(at, bytes[at]! ^ (1 << dice.below(8)));
  },
  (dice, bytes) => bytes.with(place(dice, bytes.length), dice.chance(0.5) ? dice.pick(oddBytes) : dice.below(256)),
  function remove(dice, bytes) {
    const [from, to] = range(dice, bytes);
    return join2(bytes.subarray(0, from), bytes.subarray(to));
  },
  function duplicate(dice, bytes) {
    const [from, to] = range(dice, bytes);
    return join2(bytes.subarray(0, to), bytes.subarray(from));
  },
  function overwrite(dice, bytes) {
    const [from, to] = range(dice, bytes);
    const out = bytes.slice();
    if (dice.chance(0.6)) return out.fill(dice.pick(oddBytes), from, to);
    for (let i = from; i < to; i++) out[i] = dice.below(256);
    return out;
  },
  function swap(dice, bytes) {
    const [from, to] = range(dice, bytes);
    const [at] = range(dice, bytes);
    const out = bytes.slice();
    const n = Math.min(to - from, bytes.length - at);
    out.set(bytes.subarray(at, at + n), from);
    out.set(bytes.subarray(from, from + n), at);
    return out;
  },
  (dice, bytes) => bytes.subarray(0, place(dice, bytes.length)),
  (dice, bytes) => join2(bytes, new Uint8Array(1 + dice.below(40)).fill(dice.pick(oddBytes))),
  function length(dice, bytes) {
    const out = bytes.slice();
    const view = new DataView(out.buffer);
    const value = dice.pick(odd32);
    const at = place(dice, bytes.length);
    const width = dice.pick([2, 4, 4, 8]);
    if (at + width > out.length) return out;
    const little = dice.chance(0.6);
    if (width === 2) view.setUint16(at, value, little);
    else if (width === 4) view.setUint32(at, value, little);
    else view.setBigUint64(at, BigInt(value) * (dice.chance(0.5) ? 2n ** 31n : 1n), little);
    return out;
  },
  function varint(dice, bytes) {
    const at = place(dice, bytes.length);
    const long = [0x80, 0xff].map((byte) => Array.from({ length: dice.below(10) }, () => byte));
    const number = [...dice.pick(long), dice.pick([1, 7, 15, 127])];
    return join2(join2(bytes.subarray(0, at), Uint8Array.from(number)), bytes.subarray(at + dice.below(3)));
  },
  function splice(dice, bytes, others) {
    const other = dice.pick(others);
    if (dice.chance(0.5))
      return join2(bytes.subarray(0, place(dice, bytes.length)), other.subarray(place(dice, other.length)));
    const [from, to] = range(dice, other);
    const at = place(dice, bytes.length);
    return join2(join2(bytes.subarray(0, at), other.subarray(from, to)), bytes.subarray(at));
  },
  function digits(dice, bytes) {
    const start = place(dice, bytes.length);
    const isDigit = (i: number) => bytes[i]! >= 48 && bytes[i]! <= 57;
    let from = start;
    while (from < bytes.length && !isDigit(from)) from++;
    let to = from;
    while (to < bytes.length && isDigit(to)) to++;
    const text = dice.pick([
      '0',
      '-1',
      '1',
      '99999999999',
      '4294967296',
      '1e999',
      '-0',
      '1e308',
      '18014398509481984',
      '',
    ]);
    return join2(join2(bytes.subarray(0, from), new TextEncoder().encode(text)), bytes.subarray(to));
  },
];

function range(dice: Dice, bytes: Uint8Array): [number, number] {
  const from = place(dice, bytes.length);
  const length = 1 + (dice.chance(0.8) ? dice.below(24) : dice.below(bytes.length));
  return [from, Math.min(bytes.length, from + length)];
}

export function join2(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** One to four kinds of damage, mostly one: several at once mostly find the first check only. */
export function damage(dice: Dice, bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const count = dice.chance(0.7) ? 1 : 1 + dice.below(4);
  let out = bytes;
  for (let i = 0; i < count && out.length > 0; i++) out = dice.pick(damages)(dice, out, others);
  return out;
}
