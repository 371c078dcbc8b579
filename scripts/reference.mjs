// The API reference, made from the doc comments of what the package exports: out/reference/, one folder of pages for
// each entry, and index.md, which names the entries.
//
//     npm run reference               writes it
//     npm run reference -- --check    only tells which exports have no doc comment; exit code 1 where there are any

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'out', 'reference');
const onlyCheck = process.argv.includes('--check');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The model of one entry: every export with its comment. */
function modelOf(entry, types) {
  const folder = join(out, entry === '.' ? 'index' : entry.slice(2));
  mkdirSync(folder, { recursive: true });
  const apiJsonFilePath = join(folder, 'fisher-ood.api.json'); // the documenter reads *.api.json alone
  const config = ExtractorConfig.prepare({
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: join(root, types),
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            module: 'nodenext',
            moduleResolution: 'nodenext',
            lib: ['es2023', 'dom', 'dom.asynciterable'],
            types: ['node'],
            strict: true,
            skipLibCheck: true,
          },
          include: ['dist/**/*.d.ts'],
        },
      },
      docModel: { enabled: true, apiJsonFilePath },
      apiReport: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: join(root, 'package.json'),
  });
  Extractor.invoke(config, {
    localBuild: true,
    messageCallback: (message) => {
      message.handled = true; // the exports of other entries, release tags and the like are no concern here
    },
  });
  return { folder, api: JSON.parse(readFileSync(apiJsonFilePath, 'utf8')) };
}

/** The pages of a model. The documenter knows packages alone: an entry's pages are made to bear the entry's name. */
function writePages(folder, entryName) {
  const pages = join(folder, 'pages');
  const tool = join(root, 'node_modules', '@microsoft', 'api-documenter', 'bin', 'api-documenter');
  execFileSync(process.execPath, [tool, 'markdown', '-i', folder, '-o', pages], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(join(pages, 'index.md'));
  for (const page of readdirSync(pages)) {
    const text = readFileSync(join(pages, page), 'utf8')
      .replace('[Home](./index.md)', '[Home](../../index.md)')
      .replace('[fisher-ood](./fisher-ood.md)', `[${entryName}](./fisher-ood.md)`)
      .replace('## fisher-ood package', `## ${entryName}`);
    writeFileSync(join(pages, page), text);
  }
}

rmSync(out, { recursive: true, force: true });
const bare = [];
const index = [];
for (const [entry, place] of Object.entries(exports)) {
  if (typeof place === 'string') continue;
  const entryName = `fisher-ood${entry.slice(1)}`;
  const { folder, api } = modelOf(entry, place.types);
  const { members } = api.members[0];
  for (const { name, docComment } of members) {
    if (docComment === '') bare.push(`${entryName}: ${name}`);
  }
  if (onlyCheck) continue;
  writePages(folder, entryName);
  index.push(`- [${entryName}](./${basename(folder)}/pages/fisher-ood.md): ${members.length} exports`);
}
if (!onlyCheck) writeFileSync(join(out, 'index.md'), `# API reference\n\n${index.join('\n')}\n`);
for (const line of bare) console.log(`${line} has no doc comment`);
console.log(
  onlyCheck ? `${bare.length} exports without a doc comment` : `${out}: ${bare.length} exports without a doc comment`,
);
process.exitCode = bare.length > 0 && onlyCheck ? 1 : 0;
