// Wraps paragraphs of comments that have a line of more than 120 characters, which the formatter leaves as they are:
//
//     npm run format

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const WIDTH = 120;

/** Words behind one another, each line with this before it; later lines of an item of a list stand in from its dash. */
function wrapped(before, words) {
  const later = /^[-*•]$/.test(words[0]) ? `${before}  ` : before;
  const lines = [];
  let line = before;
  for (const word of words) {
    const first = line === before || line === later;
    if (!first && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = later + word;
    } else line += first ? word : ` ${word}`;
  }
  return [...lines, line];
}

const isItem = (text) => /^([-*•] |\d+\. )/.test(text);
const isMeant = (text) => !/^(biome-ignore|@|\/$)/.test(text); // what tools read is a line of its own

function wrapComments(source) {
  const lines = source.split('\n');
  const out = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i];
    const single = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
    if (single && line.length > WIDTH) {
      const [, indent, text] = single;
      out.push(`${indent}/**`, ...wrapped(`${indent} * `, text.split(/\s+/)), `${indent} */`);
      i++;
      continue;
    }
    const [, before, start] = /^(\s*(?:\/\/|\*) )(\S.*)$/.exec(line) ?? [];
    if (start === undefined || !isMeant(start)) {
      out.push(line);
      i++;
      continue;
    }
    const texts = [start];
    for (let next = lines[i + 1]; next?.startsWith(before); next = lines[i + texts.length]) {
      const text = next.slice(before.length);
      if (!/^\S/.test(text) || isItem(text) || !isMeant(text)) break;
      texts.push(text);
    }
    const wide = texts.some((text) => before.length + text.length > WIDTH);
    out.push(...(wide ? wrapped(before, texts.join(' ').split(/\s+/)) : texts.map((text) => before + text)));
    i += texts.length;
  }
  return out.join('\n');
}

const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.mts', '*.mjs'], {
  encoding: 'utf8',
});
for (const path of listed.split('\n').filter((one) => one !== '' && existsSync(one))) {
  const source = readFileSync(path, 'utf8');
  const text = wrapComments(source);
  if (text !== source) writeFileSync(path, text);
}
