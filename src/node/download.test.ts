// Against a real server on this machine that can break off, forget ranges and send the wrong bytes.

import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { type Download, download } from './download.ts';
import { lock } from './lock.ts';

const base = await mkdtemp(join(tmpdir(), 'download-'));
const content = randomBytes(300_000);
const files: Record<string, Buffer> = { '/file.gz': content };
/** How the server behaves. */
let server: { readonly breakAt?: number; readonly ranges?: boolean; readonly silent?: boolean } = {};
let requests: IncomingMessage['headers'][] = [];

const http = createServer((request, response) => {
  requests.push(request.headers);
  const bytes = files[request.url!];
  if (!bytes) return response.writeHead(404).end();
  const start = server.ranges === false ? 0 : Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  if (start >= bytes.length) return response.writeHead(416).end();
  if (server.silent && server.breakAt === undefined) return;
  response.writeHead(start > 0 ? 206 : 200, { 'content-length': bytes.length - start });
  if (server.breakAt === undefined) return response.end(bytes.subarray(start));
  return response.write(bytes.subarray(start, server.breakAt), () => {
    if (!server.silent) setTimeout(() => response.destroy(), 50);
  });
});
await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
const address = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
afterAll(async () => {
  http.closeAllConnections();
  http.close();
  await rm(base, { recursive: true });
});

let dir: string;
let count = 0;
beforeEach(() => {
  dir = join(base, String(count++));
  server = {};
  requests = [];
});

const md5 = (bytes: Uint8Array) => ({ md5: createHash('md5').update(bytes).digest('hex') });
const plain: Download = { url: `${address}/file.gz`, checksum: md5(content), files: ['set/file.gz'] };
const result = () => readFile(join(dir, 'set/file.gz'));

describe('download', () => {
  it('puts a file in its place, tells how far it is, and does nothing the second time', async () => {
    const seen: number[] = [];
    expect(await download(plain, dir, { onProgress: ({ done }) => seen.push(done) })).toBe(true);
    expect((await result()).equals(content)).toBe(true);
    expect(seen.at(-1)).toBe(content.length);
    expect(await readdir(join(dir, 'set'))).toEqual(['file.gz']);
    expect(await download(plain, dir)).toBe(false);
    expect(requests.length).toBe(1);
  });

  it('goes on where a broken connection stopped', async () => {
    server = { breakAt: 100_000 };
    await expect(download(plain, dir)).rejects.toThrow(
      `${plain.url}: the connection broke after 100000 bytes; the same command goes on from there`,
    );
    expect(await readdir(join(dir, 'set'))).toEqual(['file.gz.part']);
    server = {};
    await download(plain, dir);
    expect(requests.map((headers) => headers.range)).toEqual([undefined, 'bytes=100000-']);
    expect((await result()).equals(content)).toBe(true);
  });

  it('begins anew where the server cannot go on', async () => {
    await mkdir(join(dir, 'set'), { recursive: true });
    await writeFile(join(dir, 'set/file.gz.part'), content.subarray(0, 5000));
    server = { ranges: false };
    await download(plain, dir);
    expect((await result()).equals(content)).toBe(true);
  });

  it('checks a part that is already whole', async () => {
    await mkdir(join(dir, 'set'), { recursive: true });
    await writeFile(join(dir, 'set/file.gz.part'), content);
    await download(plain, dir);
    expect((await result()).equals(content)).toBe(true);
  });

  it('throws away what has another checksum', async () => {
    const wrong = { ...plain, checksum: { sha256: 'ab'.repeat(32) } };
    const found = createHash('sha256').update(content).digest('hex');
    await expect(download(wrong, dir)).rejects.toThrow(
      `${plain.url}: sha256 of the 300000 bytes is ${found}, expected ${'ab'.repeat(32)}; they are thrown away`,
    );
    expect(await readdir(join(dir, 'set'))).toEqual([]);
  });

  it('says which address failed and how', async () => {
    await expect(download({ ...plain, url: `${address}/other` }, dir)).rejects.toThrow(
      `${address}/other: the server answers 404 Not Found, expected the file`,
    );
    await expect(download({ ...plain, url: 'http://127.0.0.1:1/x' }, dir)).rejects.toThrow(
      'http://127.0.0.1:1/x: cannot be reached: ',
    );
  });

  it('says which path cannot be written', async () => {
    await writeFile(dir, 'a file in the way');
    await expect(download(plain, dir)).rejects.toThrow(
      `${dir}/set/file.gz.part: cannot write what ${plain.url} sends:`,
    );
    await rm(dir);
  });

  it('leaves a file to the process that is at it, and takes over from one that is dead', async () => {
    await mkdir(join(dir, 'set'), { recursive: true });
    const path = join(dir, 'set/file.gz.part.lock');
    const held = await lock(path, 'it');
    await expect(download(plain, dir)).rejects.toThrow(
      `${dir}/set/file.gz.part: process ${process.pid} on ${hostname()} (`,
    );
    expect(requests.length).toBe(0);
    await held.release();
    await writeFile(path, '99999999'); // as a version before this one left it
    await download(plain, dir);
    expect(await readdir(join(dir, 'set'))).toEqual(['file.gz']);
  });

  it.each([
    ['answers', {}],
    ['goes on', { breakAt: 1000 }],
  ])('gives up on a server that never %s', async (_, behaviour) => {
    server = { ...behaviour, silent: true };
    await expect(download(plain, dir, { silence: 200 })).rejects.toThrow(
      `${plain.url}: the server has sent nothing for 0.2 s; the same command goes on from there`,
    );
    server = {};
    await download(plain, dir);
    expect((await result()).equals(content)).toBe(true);
  });

  it('refuses what is no address', async () => {
    await expect(download(plain, dir, { from: 'mirror.local/x' })).rejects.toThrow(
      'mirror.local/x/file.gz: is no address',
    );
  });

  it('asks another address for the file of the same name', async () => {
    await download({ ...plain, url: 'http://127.0.0.1:1/somewhere/file.gz' }, dir, { from: `${address}/` });
    expect((await result()).equals(content)).toBe(true);
  });

  it('unpacks the wanted files of an archive', async () => {
    const source = join(base, 'source');
    await mkdir(join(source, 'folder'), { recursive: true });
    for (const name of ['a.bin', 'b.bin', 'c.bin']) await writeFile(join(source, 'folder', name), `of ${name}`);
    await create({ file: join(base, 'x.tar.gz'), cwd: source, gzip: true }, ['folder']);
    files['/x.tar.gz'] = await readFile(join(base, 'x.tar.gz'));
    const task = { url: `${address}/x.tar.gz`, checksum: md5(files['/x.tar.gz']), unpack: 'tar' as const };
    await download({ ...task, files: ['set/a.bin', 'set/c.bin'] }, dir);
    expect((await readdir(join(dir, 'set'))).sort()).toEqual(['a.bin', 'c.bin']);
    expect(await readFile(join(dir, 'set/c.bin'), 'utf8')).toBe('of c.bin');
    await expect(download({ ...task, files: ['other/d.bin'] }, dir)).rejects.toThrow(
      `${task.url}: holds no file d.bin`,
    );
    expect(existsSync(join(dir, 'other/d.bin'))).toBe(false);
  });

  it('cuts a file into parts', async () => {
    const task = { ...plain, unpack: 'parts' as const, parts: [0.9, 0.05, 0.05], files: ['s/1', 's/2', 's/3'] };
    await download(task, dir);
    expect((await readdir(join(dir, 's'))).sort()).toEqual(['1', '2', '3']);
    const parts = await Promise.all(['1', '2', '3'].map((name) => readFile(join(dir, 's', name))));
    expect(parts.map((part) => part.length)).toEqual([270_000, 15_000, 15_000]);
    expect(Buffer.concat(parts).equals(content)).toBe(true);
  });
});
