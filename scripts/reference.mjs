// The API reference, made from the doc comments of what the package exports: out/reference/, one folder for each entry.
//
//     npm run reference               writes it
//     npm run reference -- --check    only tells which exports have no doc comment; exit code 1 where there are any

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
  const apiJsonFilePath = join(folder, 'api.json');
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

rmSync(out, { recursive: true, force: true });
const bare = [];
for (const [entry, place] of Object.entries(exports)) {
  if (typeof place === 'string') continue;
  const { folder, api } = modelOf(entry, place.types);
  for (const { name, docComment } of api.members[0].members) {
    if (docComment === '') bare.push(`fisher-ood${entry.slice(1)}: ${name}`);
  }
  if (onlyCheck) continue;
  const tool = join(root, 'node_modules', '@microsoft', 'api-documenter', 'bin', 'api-documenter');
  execFileSync(process.execPath, [tool, 'markdown', '-i', folder, '-o', join(folder, 'pages')], { stdio: 'ignore' });
}
for (const line of bare) console.log(`${line} has no doc comment`);
console.log(
  onlyCheck ? `${bare.length} exports without a doc comment` : `${out}: ${bare.length} exports without a doc comment`,
);
process.exitCode = bare.length > 0 && onlyCheck ? 1 : 0;
