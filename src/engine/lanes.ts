// One graph, and batches cut into parts of one size, in; the parts' results out: run one after the other by a session
// that shares every step among its threads, or side by side by sessions of one thread each. Measured while it runs;
// the numbers are the same to the bit.

import type { Feeds, Findings, Outputs, Session } from './runtime.ts';

type Take = (part: number, outputs: Outputs) => void;

export interface Lanes {
  /** Runs every part; `take` is given their results as they come, in any order. */
  run(parts: readonly (() => Feeds)[], take: Take): Promise<void>;
  /** Whether it has been found out which way is faster. */
  settled(): boolean;
  /** Closes all sessions, when what runs has ended. */
  dispose(): Promise<void>;
}

export interface LaneOptions {
  /** Opens a session, in a thread of its own or in this one. */
  open(apart: boolean): Promise<Session>;
  /** Called once no more will be opened. */
  allOpen?(): void;
  /** Sessions side by side; 1 for none. */
  readonly lanes: number;
  /** Where it is kept which way was faster, under which key. Left out: it is measured anew. */
  readonly findings?: Findings | undefined;
  readonly key: () => string;
}

/** Milliseconds of runs after which sessions side by side are opened: where they are known to be faster, or not yet. */
const AFTER = { known: 300, unknown: 1000 };

/** Runs of either way in turn before one is chosen; the first of each warms up. */
const TURNS = 4;

/** Parts that wait at each session, so that it need not wait for this thread. */
const AHEAD = 2;

type Way = 'one' | 'many';

/** Opens the session of this thread; those beside it only if there is so much to run that they pay. */
export async function openLanes({ open, allOpen, lanes, findings, key }: LaneOptions): Promise<Lanes> {
  const here = await open(false);
  if (lanes < 2) allOpen?.();
  let opening: Promise<readonly Session[]> | undefined;
  let many: readonly Session[] | undefined;
  let chosen: Way | undefined = lanes < 2 ? 'one' : undefined;
  /** What was found before; null where nothing was. */
  let known: Way | null | undefined;
  let spent = 0;
  const times: Record<Way, number[]> = { one: [], many: [] };
  const running = new Set<Promise<void>>();
  const closing: Promise<unknown>[] = [];

  async function openMany(): Promise<readonly Session[]> {
    const found = await Promise.allSettled(Array.from({ length: lanes }, () => open(true)));
    const sessions = found.flatMap((f) => (f.status === 'fulfilled' ? [f.value] : []));
    if (sessions.length === lanes) return sessions;
    await close(sessions); // the memory may not suffice: what there is goes on
    throw found.find((f) => f.status === 'rejected')!.reason;
  }

  /** Opens those beside this one when the runs so far have taken long enough. */
  async function consider(): Promise<void> {
    if (chosen !== undefined || opening !== undefined || spent < AFTER.known) return;
    known ??= ((await findings?.read(key())) as Way | undefined) ?? null;
    if (known === 'one') {
      chosen = 'one';
      allOpen?.();
    }
    if (chosen !== undefined || opening !== undefined || spent < AFTER[known === null ? 'unknown' : 'known']) return;
    if (findings) key(); // of what is gone when all are open
    opening = openMany().finally(allOpen);
    opening.then(
      (sessions) => {
        many = sessions;
      },
      () => {
        chosen = 'one';
      },
    );
  }

  /** Closes what is not wanted any more. Only where nothing runs. */
  function choose(way: Way): void {
    chosen = way;
    closing.push(close(way === 'many' ? [here] : many!));
  }

  function decide(): void {
    if (chosen !== undefined || times.one.length < TURNS || times.many.length < TURNS) return;
    const best = (way: Way) => Math.min(...times[way].slice(1));
    choose(best('many') < best('one') ? 'many' : 'one');
    if (findings) closing.push(findings.write(key(), chosen!));
  }

  async function run(parts: readonly (() => Feeds)[], take: Take): Promise<void> {
    if (running.size === 0 && many && known === 'many' && chosen === undefined) choose('many');
    if (running.size === 0) decide();
    await consider();
    const turn = chosen ?? (many && times.many.length <= times.one.length ? 'many' : 'one');
    const way = parts.length < 2 && chosen === undefined ? 'one' : turn;
    const began = performance.now();
    await (way === 'many' ? sideBySide(many!, parts, take) : sideBySide([here], parts, take, 1));
    const took = performance.now() - began;
    spent += took;
    if (many !== undefined && parts.length > 1) times[way].push(took / parts.length);
  }

  return {
    run(parts, take) {
      const work = run(parts, take);
      running.add(work);
      return work.finally(() => running.delete(work));
    },
    settled: () => chosen !== undefined,
    async dispose() {
      await Promise.allSettled(running);
      await opening?.catch(() => undefined);
      await Promise.all([...closing, close([here, ...(many ?? [])])]); // a second time does nothing
    },
  };
}

const close = (sessions: readonly Session[]) => Promise.all(sessions.map((session) => session.dispose()));

/** Each session takes the next part as soon as it has room; the first error after all have ended. */
async function sideBySide(
  sessions: readonly Session[],
  parts: readonly (() => Feeds)[],
  take: Take,
  ahead = AHEAD,
): Promise<void> {
  let next = 0;
  let failed = false;
  const work = async (session: Session) => {
    while (next < parts.length && !failed) {
      const part = next++;
      try {
        take(part, await session.run(parts[part]!()));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const all = await Promise.allSettled(
    sessions.flatMap((session) => Array.from({ length: ahead }, () => work(session))),
  );
  const error = all.find((one) => one.status === 'rejected');
  if (error) throw error.reason;
}
