#!/usr/bin/env node
try {
  const { main } = await import('../dist/cli/main.js');
  await main(process.argv.slice(2));
} catch (error) {
  // So little that not even the program's own files can be opened, or its libraries loaded.
  const files = error.code === 'EMFILE' || error.code === 'ENFILE';
  const line = String(error.message)
    .split('\n')
    .find((text) => /failed to map|cannot allocate|out of memory/i.test(text));
  if (!files && line === undefined) throw error;
  const what = files
    ? 'too many open files; allow more, for example with: ulimit -n 1024'
    : `the memory does not suffice to start: ${line}`;
  process.stderr.write(`fisher-ood: ${what}\n`);
  process.exitCode = 1;
}
