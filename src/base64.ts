// Bytes to base64 and back, in every host.

/** Characters of a call at most: arguments are on the stack. */
const CHUNK = 8192;

export function toBase64(bytes: Uint8Array): string {
  const text: string[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK) text.push(String.fromCharCode(...bytes.subarray(at, at + CHUNK)));
  return btoa(text.join(''));
}

/** Throws what `atob` throws where the text is not base64. */
export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
