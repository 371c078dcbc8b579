#!/usr/bin/env node
try {
  const { main } = await import('../dist/cli/main.js');
  await main(process.argv.slice(2));
} catch (error) {
  if (error.code !== 'EMFILE' && error.code !== 'ENFILE') throw error;
  // So few that not even the program's own files can be opened.
  process.stderr.write('fisher-ood: too many open files; allow more, for example with: ulimit -n 1024\n');
  process.exitCode = 1;
}
