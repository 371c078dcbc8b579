// Every reader on damaged files, as in node/damage.test.ts, with hashes and decompression in JavaScript alone, as pages
// have them.

import { beforeAll } from 'vitest';
import { portable, setHost } from '../host.ts';
import '../node/damage.test.ts';

beforeAll(() => setHost(portable)); // loading the readers of files has put Node's own in place
