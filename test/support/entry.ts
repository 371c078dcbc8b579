// What a process started by cli.ts runs.

import { main } from '../../src/cli/main.ts';

await main(process.argv.slice(2));
