// Configurations of ONNX's transforms of frames, windows and weights of frequencies.

import type { Draw } from '../draw.ts';
import type { Generator } from './generator.ts';

const window: Generator = (draw: Draw) => ({
  opset: draw.opset(17),
  operands: [draw.fixed([draw.int(2, 9)], [])],
  attrs: draw.attrs({ periodic: draw.int(0, 1) }),
});

const stft: Generator = (draw) => {
  const size = draw.int(1, 6);
  const length = size + draw.int(0, 9);
  const complex = draw.bool(0.3);
  const windowed = draw.bool(0.7);
  return {
    opset: draw.opset(17),
    operands: [
      draw.tensor([draw.int(1, 2), length, complex ? 2 : 1]),
      draw.fixed([draw.int(1, 4)], []),
      windowed ? draw.tensor([size], { role: draw.pick(['weight', 'input'] as const) }) : undefined,
      ...(windowed && draw.bool() ? [] : [draw.fixed([size], [])]),
    ],
    attrs: complex ? { onesided: 0 } : draw.attrs({ onesided: draw.int(0, 1) }),
  };
};

const mel: Generator = (draw) => {
  const length = draw.pick([16, 32, 64]);
  const float = (x: number) => draw.fixed([Math.fround(x)], [], 'float');
  return {
    opset: draw.opset(17),
    operands: [
      draw.fixed([draw.int(1, 8)], []),
      draw.fixed([length], []),
      draw.fixed([8000], []),
      float(draw.pick([0, 100])),
      float(draw.pick([2000, 3500, 4000])),
    ],
  };
};

export const signal = {
  BlackmanWindow: window,
  HammingWindow: window,
  HannWindow: window,
  MelWeightMatrix: mel,
  STFT: stft,
} satisfies Record<string, Generator>;
