// Command lines of fisher-ood, one JSON list of arguments a line on standard input, in; for each a JSON line of { code,
// out, err }, out. One process for all, since starting one takes longer than reading a small model. Needs `npm run
// build`.

import { createInterface } from 'node:readline';
import { run } from '../../dist/cli/main.js';

const write = process.stdout.write.bind(process.stdout);

for await (const line of createInterface({ input: process.stdin })) {
  const said = { out: '', err: '' };
  const heard = (key) => (text) => {
    said[key] += text;
    return true;
  };
  process.stdout.write = heard('out');
  process.stderr.write = heard('err');
  const code = await run(JSON.parse(line));
  write(`${JSON.stringify({ code, ...said })}\n`);
}
