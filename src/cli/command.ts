// What does the work of a command; how it is called is in usage/.

import type { Claim } from '../node/index.ts';
import type { RunOptions, Values } from './options.ts';
import type { Outputs } from './outputs.ts';

export interface Command {
  /** What it writes and reads; claimed before `run`, until that ends. */
  writes?(positionals: readonly string[], values: Values): Outputs | Promise<Outputs>;
  run(positionals: readonly string[], values: Values, options: RunOptions, claim?: Claim): Promise<void>;
}
