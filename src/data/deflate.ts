/**
 * Deflate cannot do better than 1032:1, so compressed data that claim to hold more bytes for each of theirs are damaged
 * or hostile.
 */
export const MAX_DEFLATE_RATIO = 1032;
