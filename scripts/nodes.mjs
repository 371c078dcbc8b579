// The command-line tests on the newest Node of every line that the package supports, each downloaded from the npm
// registry:
//
//     npm run check:nodes [-- 24 26]

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const asked = process.argv.slice(2);
const lines = asked.length > 0 ? asked : ['20', '22', '24', '26'];
const tests = ['test/cli', 'test/cold-start.test.ts', 'test/onnx/goldens.test.ts'];

const system = { linux: 'linux', darwin: 'darwin', win32: 'win' }[process.platform];
if (system === undefined) throw new Error(`no Node for ${process.platform} is on the npm registry`);
const name = `node-${system}-${process.arch}`;

const results = [];
for (const line of lines) {
  const dir = mkdtempSync(join(tmpdir(), 'fisher-ood-node-'));
  try {
    const shell = process.platform === 'win32'; // npm is a .cmd there
    execFileSync('npm', ['install', '--prefix', dir, '--ignore-scripts', `${name}@${line}`], {
      stdio: 'ignore',
      shell,
    });
    const node = join(dir, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
    console.log(`\n${version}: ${tests.join(' ')}`);
    const { status } = spawnSync(node, ['node_modules/vitest/vitest.mjs', 'run', ...tests], {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, PATH: `${dirname(node)}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH}` },
    });
    results.push({ version, passed: status === 0 });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
for (const { version, passed } of results) console.log(`${version}: ${passed ? 'passes' : 'FAILS'}`);
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
