import { describe, expect, it } from 'vitest';
import { readSafetensors, writeSafetensors } from './safetensors.ts';

const tensors = {
  a: { shape: [2, 2], data: Float32Array.of(1, -0.1, 3e-7, 60_000) },
  b: { shape: [1], data: Float32Array.of(Math.PI) },
};

describe('safetensors', () => {
  it('come back bit by bit in single precision', () => {
    expect(readSafetensors(writeSafetensors(tensors), 'f')).toEqual(tensors);
  });

  it('come back from a Node Buffer, whose memory begins elsewhere', () => {
    const bytes = writeSafetensors(tensors);
    const large = Buffer.alloc(bytes.length + 3);
    large.set(bytes, 3);
    expect(readSafetensors(large.subarray(3), 'f')).toEqual(tensors);
  });

  it('come back to 11 bits in half precision, in half the bytes', () => {
    const bytes = writeSafetensors(tensors, 'F16');
    const found = readSafetensors(bytes, 'f');
    for (const [name, { shape, data }] of Object.entries(tensors)) {
      expect(found[name]!.shape).toEqual(shape);
      // Below the smallest normal number, 2^-14, steps are 2^-24 wide.
      data.forEach((v, i) => {
        expect(Math.abs(found[name]!.data[i]! - v)).toBeLessThanOrEqual(Math.max(Math.abs(v) * 2 ** -11, 2 ** -25));
      });
    }
    expect(writeSafetensors(tensors).length - bytes.length).toBe(2 * 5);
  });

  it('are not written in half precision where a number is beyond its range', () => {
    const large = { w: { shape: [1], data: Float32Array.of(70_000) } };
    expect(() => writeSafetensors(large, 'F16')).toThrow("tensor 'w' holds 70000, which half precision cannot");
  });

  it('are refused in other types', () => {
    const text = new TextDecoder('latin1').decode(writeSafetensors(tensors)).replace('"F32"', '"I32"');
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    expect(() => readSafetensors(bytes, 'f')).toThrow("f: tensor 'a' is I32, expected F32 or F16");
  });
});
