// fisher-ood data: which known data sets are there, and the files of those that are not.

import { defined } from '../defined.ts';
import { DataError, UsageError } from '../errors.ts';
import { type DownloadProgress, dataDirs, download, downloadable, knownSets, locate } from '../node/index.ts';
import type { Command } from './command.ts';
import { type RunOptions, text } from './options.ts';
import { endProgress, print, progressLine, say, throttled } from './terminal.ts';

export const dataCommand: Command = {
  async run([action, ...names], values, options) {
    if (action === 'list' && names.length === 0) return list(options);
    if (action !== 'get') throw new UsageError(`data ${action}: expected data list or data get NAME`);
    if (names.length === 0) throw new UsageError(`data get: which? There are ${downloadable.join(', ')}`);
    for (const name of names) {
      if (!Object.hasOwn(knownSets, name)) {
        throw new UsageError(`there is no data set '${name}'; there are ${Object.keys(knownSets).join(', ')}`);
      }
    }
    for (const name of names) await getSet(name, text(values, 'from'), options);
  },
};

function list(options: RunOptions): void {
  const rows = [];
  for (const [name, { files, source, downloads }] of Object.entries(knownSets)) {
    for (const split of Object.keys(files)) {
      const found = locate(name, split, dirsOf(options));
      rows.push({ name: `${name}:${split}`, files: found, source, get: downloads !== undefined });
    }
  }
  if (options.json) {
    print(JSON.stringify(rows));
    return;
  }
  const width = Math.max(...rows.map((row) => row.name.length));
  for (const { name, files, source, get } of rows) {
    const where = files
      ? `${files[0]}${files.length > 1 ? ` and ${files.length - 1} more` : ''}`
      : `not here: ${get ? `fisher-ood data get ${name.split(':')[0]}` : source}`;
    print(`${name.padEnd(width)}  ${where}`);
  }
}

async function getSet(name: string, from: string | undefined, options: RunOptions): Promise<void> {
  const { downloads, source } = knownSets[name]!;
  if (!downloads) throw new DataError(`${name}: there is nothing to download by itself; get it from ${source}`);
  const [dir] = dataDirs(dirsOf(options));
  const onProgress = throttled(({ url, done, of }: DownloadProgress) =>
    progressLine(`${url}: ${megabytes(done)}${of === undefined ? '' : ` of ${megabytes(of)}`} MB`),
  );
  let fresh = false;
  for (const task of downloads) {
    fresh = (await download(task, dir!, { onProgress, ...defined({ from }) })) || fresh;
  }
  if (fresh) endProgress();
  const files = downloads.flatMap((task) => task.files);
  if (options.json) print(JSON.stringify({ name, dir, files }));
  else say(`${name}: ${fresh ? 'downloaded' : 'is there'}, ${files.length} files in ${dir}`);
}

const dirsOf = ({ dataDir }: RunOptions) => defined({ dataDir });
const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
