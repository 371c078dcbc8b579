// What makes configurations of one operator: random choices in, a configuration out.

import type { Configuration } from '../configuration.ts';
import type { Draw } from '../draw.ts';

export type Generator = (draw: Draw) => Omit<Configuration, 'op'>;
