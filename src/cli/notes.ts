// What users should know of the data that a command reads: said once, where it is found, and put into its JSON.

import type { Dataset } from '../data/index.ts';
import { filled } from '../defined.ts';
import { say } from './terminal.ts';

type Noted = Pick<Dataset, 'notes'>;

/** What the command that runs has said; a set may be opened twice. */
const said = new Set<string>();

/** For the start of a command. */
export function forgetNotes(): void {
  said.clear();
}

/** Says what has not been said of these sets, on stderr. */
export function sayNotes(...sets: readonly Noted[]): void {
  for (const note of sets.flatMap((set) => set.notes())) {
    if (!said.has(note)) say(note);
    said.add(note);
  }
}

/**
 * A field `notes` for a command's JSON, where there is anything to say; says it too. For when the sets have been read.
 */
export function notesOf(...sets: readonly Noted[]): { readonly notes?: readonly string[] } {
  sayNotes(...sets);
  const notes = [...new Set(sets.flatMap((set) => set.notes()))];
  return filled({ notes });
}
