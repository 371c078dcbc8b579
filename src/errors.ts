// The errors a user can cause. Each message says where, what was found and what was expected; the command line prints
// the message alone for these and a stack trace for everything else (which is then a bug of ours). Options are named as
// the library has them, in quotes that nothing else has: `pixels: [0, 1]`; the command line says them as its flags
// (`asFlags` of cli/terminal.ts).

/** Base of every error that is the input's fault, not the program's. */
export class FisherError extends Error {
  override readonly name: string = 'FisherError';
}

/** A data file or data set that is missing, corrupt, truncated or of the wrong size or shape. */
export class DataError extends FisherError {
  override readonly name = 'DataError';
}

/** An ill-formed graph: wrong shapes, dtypes, attributes, or an op without the rule that is asked of it. */
export class GraphError extends FisherError {
  override readonly name = 'GraphError';
}

/** A model directory or model file that cannot be used, or that does not fit the data or the detector. */
export class ModelError extends FisherError {
  override readonly name = 'ModelError';
}

/** A command or function called in a way that cannot work. The command line exits with code 2. */
export class UsageError extends FisherError {
  override readonly name = 'UsageError';
}

/** An option that has values by name, as messages say it: `constants: { mask: 0 }`. */
export const optionFor = (option: string, key: string, value: string | number): string =>
  `\`${option}: { ${/^[a-zA-Z_$][\w$]*$/.test(key) ? key : `'${key}'`}: ${value} }\``;
