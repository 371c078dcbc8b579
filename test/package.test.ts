// What a user or a clone installs: without warnings, without scripts of dependencies, in a size that is held.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const json = <T>(path: string) => JSON.parse(readFileSync(join(root, path), 'utf8')) as T;

interface Package {
  readonly allowScripts: Readonly<Record<string, boolean>>;
}
interface Lock {
  readonly packages: Readonly<Record<string, { readonly hasInstallScript?: boolean; readonly optional?: boolean }>>;
}

describe('a clone', () => {
  // npm 10 runs what the lock file says has scripts, npm 11 asks about it. One of them downloads GPU libraries and fails without a network; the
  // others only check what is there.
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
