// The operating system's own lock on an open file: it ends with the process, however that ends.

import { tryLock } from 'fs-native-extensions';

/**
 * Whether the open file is locked for us now; undefined where its file system has no locks. Throws what else the system
 * does.
 */
export type SystemLock = (fd: number) => boolean | undefined;

/** A byte far behind the content: where locks are binding (Windows), others can still read the file. */
const BYTE = 2 ** 30;

export const systemLock: SystemLock = (fd) => {
  try {
    return tryLock(fd, BYTE, 1);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (['ENOLCK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL'].includes(code)) return undefined;
    throw error;
  }
};
