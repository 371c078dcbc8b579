// Sessions on the graphics card, by the runtime's WebGPU provider: what of a graph stays on the processor, and what is
// said where the card will not do.

import type { OrtSession } from '../engine/ort.ts';
import { ModelError } from '../errors.ts';

/**
 * Ops whose kernels there will not do, though the provider takes them: WebGPU guarantees angles' functions to 2^-11
 * alone, and none beyond [-π, π]. They stay on the processor, with convolutions in three dimensions, which fail.
 */
const STAY = ['Sin', 'Cos', 'Tan'];

/** What of the runtime's options is the card's. */
interface CardOptions {
  readonly executionProviders: readonly [
    { readonly name: 'webgpu'; readonly preferredLayout: 'NCHW'; readonly forceCpuNodeNames?: readonly string[] },
    'cpu',
  ];
  readonly enableMemPattern: boolean;
}

/** What there is of the runtime before anything is opened. */
interface Backends {
  listSupportedBackends(): readonly { readonly name: string }[];
}

/**
 * Opens a graph there; `create` opens a session with these options. Ops that the card has no kernel for run on the
 * processor, too, with their operands copied there and back. Throws a ModelError where there is no card, or none that
 * will do.
 */
export async function openOnCard<S extends OrtSession>(
  runtime: Backends,
  model: Uint8Array,
  create: (options: CardOptions) => Promise<S>,
): Promise<OrtSession> {
  const ways = 'the graphics card cannot be used by WebGPU';
  if (!runtime.listSupportedBackends().some(({ name }) => name === 'webgpu')) {
    throw new ModelError(`${ways}: onnxruntime-node for ${process.platform} on ${process.arch} comes without it`);
  }
  const { nodesOf } = await import('../onnx/index.ts');
  const stay = nodesOf(model).flatMap(({ name, op, dimensions }) =>
    STAY.includes(op) || dimensions === 3 ? [name] : [],
  );
  // With the provider's default layout, NHWC, a convolution with as many groups as channels and 9 outputs for each
  // gives wrong numbers (onnxruntime 1.30).
  const webgpu = {
    name: 'webgpu',
    preferredLayout: 'NCHW',
    ...(stay.length > 0 ? { forceCpuNodeNames: stay } : {}),
  } as const;
  const options: CardOptions = { executionProviders: [webgpu, 'cpu'], enableMemPattern: false }; // it cannot
  const session = await inWords(() => create(options)).catch((error: unknown) => {
    const found = error instanceof Error && /adapter: (.*)|WebGPU device: (.*)/.exec(error.message);
    if (!found) throw error;
    throw new ModelError(
      `${ways}: ${found[1] ?? found[2]}. It takes the card's driver for Vulkan (Linux), Metal (macOS) or Direct3D 12 (Windows); on Linux \`vulkaninfo\` lists what has one`,
      { cause: error },
    );
  });
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    inputMetadata: session.inputMetadata,
    run: (feeds, outputs) => inWords(() => session.run(feeds, outputs)),
    release: () => session.release(),
  };
}

/** What WebGPU says where a buffer is larger than it may be, or was not to be had. */
const TOO_LARGE = /exceeds the max(imum)?\b.*(size|limit)|invalid due to a previous error|OUT_OF_DEVICE_MEMORY/i;

/** Says so where the card's memory does not suffice, or the card is gone. */
async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
    if (TOO_LARGE.test(line!)) {
      throw new ModelError(`the graphics card's memory does not suffice: ${line}; a smaller batch takes less`, {
        cause: error,
      });
    }
    if (/device (is |was )?lost/i.test(line!))
      throw new ModelError(`the graphics card is gone: ${line}`, { cause: error });
    throw error;
  }
}
