// The commands by name, in the order in which a user meets them.

import { checkUsage } from './check.ts';
import { dataUsage } from './data.ts';
import { demoUsage } from './demo.ts';
import { evalUsage } from './eval.ts';
import { featuresUsage } from './features.ts';
import { fitUsage } from './fit.ts';
import { inspectUsage } from './inspect.ts';
import { reproduceUsage } from './reproduce.ts';
import { sampleUsage } from './sample.ts';
import { scoreUsage } from './score.ts';
import { trainUsage } from './train.ts';
import type { Usage } from './usage.ts';

export { helpText, type Usage } from './usage.ts';

export const commands = {
  demo: demoUsage,
  data: dataUsage,
  train: trainUsage,
  sample: sampleUsage,
  inspect: inspectUsage,
  check: checkUsage,
  features: featuresUsage,
  fit: fitUsage,
  score: scoreUsage,
  eval: evalUsage,
  reproduce: reproduceUsage,
} satisfies Record<string, Usage>;
