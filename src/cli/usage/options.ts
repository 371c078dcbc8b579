// Options that several commands share, as the help texts show them. Nothing of the work is imported here.

interface Option {
  readonly type: 'string' | 'boolean';
  readonly multiple?: boolean;
  /** Stands for the value in the help text, such as `N`. */
  readonly value?: string;
  readonly about: string;
}

export type Options = Readonly<Record<string, Option>>;

/** What every command takes. */
export const commonOptions: Options = {
  json: { type: 'boolean', about: 'print the result as JSON on stdout, nothing else' },
  seed: { type: 'string', value: 'N', about: 'seed of all randomness (default 0)' },
  batch: { type: 'string', value: 'N', about: 'examples per run (default: chosen from a memory estimate)' },
  memory: { type: 'string', value: 'SIZE', about: 'what a batch of examples may take, such as 500MB (default 1GiB)' },
  threads: { type: 'string', value: 'N', about: 'threads (default: one per core)' },
  'data-dir': { type: 'string', value: 'DIR', about: 'where known data sets lie (default: $FISHER_OOD_DATA)' },
  help: { type: 'boolean', about: 'this text' },
};

/** Of commands that run a model for long. */
export const deviceOption: Options = {
  device: {
    type: 'string',
    value: 'NAME',
    about: 'what computes: cpu (default), or webgpu for the graphics card, by its driver for Vulkan, Metal or Direct3D',
  },
};

/** What is said of the data, whatever the model. */
export const dataOptions: Options = {
  column: {
    type: 'string',
    value: 'NAME',
    about: 'the column, variable or array that holds the examples, as DATA:NAME (default: the only one)',
  },
  shape: {
    type: 'string',
    value: 'HxW',
    about: 'what images rows of numbers are: 28x28, 3x32x32 or 32x32x3 (default: the only one that fits the model)',
  },
  id: { type: 'string', value: 'NAME', about: 'the column that says what the inputs are called' },
  background: {
    type: 'string',
    value: 'COLOUR',
    about: 'what transparent pictures are put on: white, black, 0..255 or #rrggbb (default: they are refused)',
  },
};

/** Of commands whose model is built in, or in a detector file. */
export const pixelOption: Options = {
  layout: {
    type: 'string',
    value: 'ORDER',
    about: 'nchw or nhwc: where the data have channels (default: as shapes say)',
  },
  pixels: { type: 'string', value: 'LOW,HIGH', about: 'what the data have in place of 0,255 (built-in models)' },
};

/** What is done to images before a model sees them. */
export const imageOptions: Options = {
  channels: { type: 'string', value: '1|3', about: 'convert images to grey or to RGB, first of all' },
  resize: { type: 'string', value: 'N|HxW', about: 'then resample them to N×N pixels, or H rows of W' },
  filter: {
    type: 'string',
    value: 'NAME',
    about: 'how --resize does it: nearest, bilinear, bicubic or lanczos (default)',
  },
  crop: { type: 'string', value: 'N|HxW', about: 'then cut so much out of the centre' },
  pad: { type: 'string', value: 'N|HxW', about: 'then add zeros around them, up to this size' },
};

/** What a diffusion model is scored by. */
export const scoringOptions: Options = {
  timestep: {
    type: 'string',
    value: 'T,…',
    about: 'ddpm: score by the denoising loss at step T, from 0, or the sum over several (default 1)',
  },
  'loss-draws': {
    type: 'string',
    value: 'K',
    about: 'ddpm: draws of the noise that one loss is the mean of, or steps drawn for --bound (default 1)',
  },
  bound: { type: 'boolean', about: 'ddpm: score by the variational bound, estimated from --loss-draws steps' },
};

/** How a foreign ONNX model is to be read, and how a model is to score. */
export const modelOptions: Options = {
  ...scoringOptions,
  input: { type: 'string', value: 'NAME', about: 'ONNX: the input that the data go to (default: the only one left)' },
  loss: {
    type: 'string',
    value: 'NAME',
    about: 'ONNX: the output with the loss of each example (default: the only one that can be)',
  },
  objective: {
    type: 'string',
    value: 'KIND:…',
    about: 'ONNX: makes the loss: flow, elbo, causal-lm, denoise:schedule=linear,predicts=noise (t=T for one step)',
  },
  pixels: {
    type: 'string',
    value: 'LOW,HIGH',
    about: 'ONNX: the range that pixels 0..255 are mapped to; built-in models: what the data have in place of 0,255',
  },
  layout: {
    type: 'string',
    value: 'ORDER',
    about: 'nchw or nhwc: where ONNX takes channels, or data have them (default: as shapes say)',
  },
  normal: { type: 'string', multiple: true, value: 'NAME', about: 'ONNX: an input drawn from a standard normal' },
  uniform: { type: 'string', multiple: true, value: 'NAME', about: 'ONNX: an input drawn uniformly from [0, 1)' },
  integer: {
    type: 'string',
    multiple: true,
    value: 'NAME=A..B',
    about: 'ONNX: an input of whole numbers drawn from A to B: t=0..999 for times',
  },
  constant: { type: 'string', multiple: true, value: 'NAME=X', about: 'ONNX: an input that has one value for all' },
  dim: {
    type: 'string',
    multiple: true,
    value: 'NAME=N',
    about:
      'ONNX: a size that the file leaves open: seq=128, or ids.1=128 for axis 1 of ids (default: that of the data)',
  },
  ...Object.fromEntries(
    Object.entries(imageOptions).map(([name, option]) => [name, { ...option, about: `ONNX: ${option.about}` }]),
  ),
  params: { type: 'string', value: 'REGEX', about: 'ONNX: the parameters whose norms are wanted (default: all)' },
  frozen: { type: 'string', value: 'REGEX', about: 'ONNX: parameters that are not learned: they have no norm' },
  'stop-gradient': {
    type: 'string',
    multiple: true,
    value: 'VALUE',
    about: 'ONNX: a value in the file that training detached: no gradient goes through it',
  },
};

/** What an example's noise is told by. */
export const noiseOptions: Options = {
  'noise-by': {
    type: 'string',
    value: 'KEY',
    about: 'what tells the noise of an input: its content (default) or its index in the data',
  },
};

/** What the Fisher metric keeps. */
export const metricOptions: Options = {
  'fisher-form': {
    type: 'string',
    value: 'FORM',
    about:
      'the Fisher metric as a diagonal or as kronecker, a matrix along each axis of a tensor: it tells more and takes longer (default: kronecker for the combined detector, a diagonal for the others)',
  },
};

/** What is measured beside the norms. */
export const viewOptions: Options = {
  features: {
    type: 'string',
    value: 'LIST',
    about:
      'of norms, radial (gradients times weights), fisher (norms in the Fisher metric), parts (of the nll), with commas (default norms)',
  },
};

/** How often a model's noise is drawn. */
export const drawOptions: Options = {
  'noise-samples': {
    type: 'string',
    value: 'K',
    about: 'draws of the noise of models that have any; log norms are means over them (default 1)',
  },
};
