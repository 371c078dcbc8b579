// What a user or a clone installs: without warnings, without scripts of dependencies, in a size that is held.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from './support/cli.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const json = <T>(path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')) as T;

interface Package {
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}
interface Lock {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean; readonly optional?: boolean }>>;
}

describe('a clone', () => {
  // npm 10 runs what the lock file says has scripts, npm 11 asks about it. One of them downloads GPU libraries and
  // fails without a network; the others only check what is there.
  it('runs no script of a dependency: after npm install, take the lines "hasInstallScript" out of package-lock.json', () => {
    const { packages } = json<Lock>('package-lock.json');
    const running = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript);
    expect(running.map(([path]) => path)).toEqual([]);
  });

  it('refuses the scripts that there are by name, for an npm install that looks them up anew', () => {
    const { allowScripts } = json<Package>('package.json');
    expect(allowScripts).toEqual({ esbuild: false, 'onnxruntime-node': false, protobufjs: false });
  });

  it('has no settings that some npm does not know', () => {
    expect(existsSync(join(root, '.npmrc'))).toBe(false);
  });
});

describe('the package', () => {
  it('has the entries that are listed, and no others', async () => {
    const { exports } = json<Package>('package.json');
    for (const [entry, place] of Object.entries(exports)) {
      const files = typeof place === 'string' ? [place] : Object.values(place);
      for (const file of files) expect(existsSync(join(root, file)), `${entry}: ${file}`).toBe(true);
      expect(entry).not.toContain('*');
    }
    // a variable: what is not there cannot be resolved when this is compiled
    const private_ = 'fisher-ood/dist/lower/index.js';
    await expect(import(private_)).rejects.toThrow();
  });

  it('has declarations that compile with all libraries checked, for Node and for a bundler', {
    timeout: 240_000,
  }, async () => {
    const { exports } = json<Package>('package.json');
    const entries = Object.keys(exports).filter((entry) => entry !== './package.json');
    const lines = entries.map((entry, i) => `export * as entry${i} from 'fisher-ood${entry.slice(1)}';`);
    const folder = join(root, 'out', 'consumer'); // within the package, which finds itself by its name
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'all.ts'), `${lines.join('\n')}\n`);
    for (const [module, moduleResolution] of [
      ['nodenext', 'nodenext'],
      ['esnext', 'bundler'],
    ] as const) {
      const compilerOptions = {
        module,
        moduleResolution,
        target: 'es2023',
        strict: true,
        skipLibCheck: false,
        noEmit: true,
      };
      const project = { compilerOptions: { ...compilerOptions, types: ['node'] }, files: ['all.ts'] };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(project));
      const { stdout } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
        encoding: 'utf8',
      });
      expect(stdout).toBe('');
    }
  });

  it('is small: what is packed and what that unpacks to', () => {
    const out = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
    });
    const [{ size, unpackedSize }] = Object.values(JSON.parse(out)) as [{ size: number; unpackedSize: number }];
    // Half of it is the shipped model and the sample images. Raise these with a reason; the last: the experiment beyond
    // the paper.
    expect(size).toBeLessThan(3_000_000);
    expect(unpackedSize).toBeLessThan(5_000_000);
  });
});

describe('an installation whose runtime', () => {
  const elsewhere = temporaryFolder();
  afterAll(() => elsewhere.remove());

  /** The package as it is built, beside packages of which that of the runtime is `runtime`'s making. */
  function installed(name: string, runtime: (path: string) => void): string {
    const folder = join(elsewhere.path, name); // outside of the package, whose own packages would be found
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(root, part), join(folder, part), { recursive: true });
    for (const part of ['models', 'samples']) symlinkSync(join(root, part), join(folder, part));
    for (const found of readdirSync(join(root, 'node_modules')).filter((one) => !one.startsWith('.'))) {
      const to = join(folder, 'node_modules', found);
      if (found === 'onnxruntime-node') runtime(to);
      else symlinkSync(join(root, 'node_modules', found), to);
    }
    return folder;
  }
  const withoutBinary = (to: string) => {
    const from = join(root, 'node_modules', 'onnxruntime-node');
    cpSync(from, to, { recursive: true, dereference: true, filter: (path) => !path.startsWith(join(from, 'bin')) });
  };

  it.each([
    ['has no binary', withoutBinary, /cannot be loaded: Cannot find module .*napi/],
    ['is not there', () => undefined, /cannot be loaded: Cannot find package 'onnxruntime-node'/],
  ])('%s says how it is installed', { timeout: 240_000 }, (name, runtime, reason) => {
    const folder = installed(name.replaceAll(' ', '-'), runtime);
    const run = ['fit', 'models/glow-fashion-mnist', '--data', 'sample/mnist[0:20]', '--out', 'detector.json'];
    const { status, stderr } = spawnSync(process.execPath, ['bin/fisher-ood.js', ...run], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, FISHER_OOD_CACHE: '' },
    });
    expect(status, stderr).toBe(1);
    expect(stderr).toMatch(reason);
    expect(stderr).toContain('`ONNXRUNTIME_NODE_INSTALL=skip npm install fisher-ood`');
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});
