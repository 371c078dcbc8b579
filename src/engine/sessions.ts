// Sessions that are opened when they are needed first and kept for the next time, so many of them; the one unused for
// longest is closed.

import { UsageError } from '../errors.ts';

/** What can be closed. */
interface Closable {
  dispose(): Promise<void>;
}

export interface SessionPool<S extends Closable> {
  /**
   * Has `work` done with the session of this key, which `open` makes where there is none. It stays open while `work`
   * goes on.
   */
  use<T>(key: string, open: () => Promise<S>, work: (session: S) => Promise<T>): Promise<T>;
  /** Closes all, when what runs has ended. `use` throws a UsageError from now on. */
  dispose(): Promise<void>;
}

interface Entry<S> {
  readonly session: Promise<S>;
  users: number;
}

const GONE = 'the session was disposed of, open another one';

export function sessionPool<S extends Closable>(most: number): SessionPool<S> {
  const entries = new Map<string, Entry<S>>(); // the one used last at the end
  let disposed = false;

  const close = async (entry: Entry<S>) => (await entry.session.catch(() => undefined))?.dispose();

  /** Makes room for one more; what is in use stays. */
  async function makeRoom(): Promise<void> {
    for (const [key, entry] of entries) {
      if (entries.size < most) return;
      if (entry.users > 0) continue;
      entries.delete(key);
      await close(entry);
    }
  }

  /** Of the key, in use from now on. */
  async function take(key: string, open: () => Promise<S>): Promise<Entry<S>> {
    if (!entries.has(key)) await makeRoom();
    if (disposed) throw new UsageError(GONE);
    const found = entries.get(key) ?? { session: open(), users: 0 };
    found.users++;
    entries.delete(key);
    entries.set(key, found);
    return found;
  }

  return {
    async use(key, open, work) {
      if (disposed) throw new UsageError(GONE);
      const entry = await take(key, open);
      try {
        return await work(await entry.session);
      } catch (error) {
        const failed = await entry.session.then(
          () => false,
          () => true,
        );
        if (failed && entries.get(key) === entry) entries.delete(key); // to be tried again
        throw error;
      } finally {
        entry.users--;
      }
    },
    async dispose() {
      disposed = true;
      const all = [...entries.values()];
      entries.clear();
      await Promise.all(all.map(close));
    },
  };
}
