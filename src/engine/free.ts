// Bytes that nobody needs any more in; their memory given back soon, where the garbage collector would take its time.

/** Bytes that are few enough to be left to the collector. */
const FEW = 2 ** 24;

/**
 * Frees bytes, whose array is empty from now on: they are moved into a message that nobody can receive. The collector
 * knows nothing of the memory that a runtime takes outside of it, and sees no reason to hurry.
 */
export function freeNow({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < FEW || !(buffer instanceof ArrayBuffer)) return;
  const { port1, port2 } = new MessageChannel();
  port2.close();
  port1.postMessage(undefined, [buffer]);
  port1.close();
}
