// Promises that run side by side in; what they give out, and of several that fail the first in their order: which
// failed first in time is another one every time.

/** Like `Promise.all`, but for the error: it waits for all before the one that failed. */
export async function inOrder<const T extends readonly Promise<unknown>[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(promises);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return settled.map((one) => (one as PromiseFulfilledResult<unknown>).value) as {
    -readonly [K in keyof T]: Awaited<T[K]>;
  };
}
