// What we use of fs-native-extensions, which has no types: the system's own locks on open files.
declare module 'fs-native-extensions' {
  /**
   * Whether the file is ours now: false where another open file has the bytes offset..offset+length-1. Throws what the
   * system does.
   */
  export function tryLock(fd: number, offset?: number, length?: number): boolean;
}
