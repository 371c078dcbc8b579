// A folder with results.json in; its report.html drawn anew from these numbers, out: no models, no data.
//
//     npx tsx scripts/redraw-report.ts docs/results

import { redraw } from '../src/paper/index.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: redraw-report.ts DIR (a folder with results.json)');
console.log(await redraw(folder));
