import { describe, expect, it } from 'vitest';
import { type NpyArray, writeNpy } from './npy.ts';
import { readData, readShards, shardsIn } from './readers.ts';
import { bytesSource } from './source.ts';

const source = (name: string, content: string | Uint8Array = 'x') =>
  bytesSource(typeof content === 'string' ? new TextEncoder().encode(content) : content, name);
const npy = (...shape: number[]) =>
  writeNpy({ dtype: 'uint8', shape, data: new Uint8Array(shape.reduce((a, b) => a * b)) } as NpyArray);

describe('what nobody reads is refused by what it is', () => {
  it.each([
    ['x.pt', 'is a file of PyTorch, which is not read; make x.npy of it with: python3 -c "import torch'],
    ['x.PTH', 'is a file of PyTorch'],
    ['x.ckpt', 'is a file of PyTorch'],
    ['x.safetensors', 'is a file of tensors (safetensors), which is not read; make x.npz of it with: python3 -c'],
    ['x.pkl', 'is a Python pickle'],
    ['x.h5', 'is an HDF5 file, which is not read; make x.npz of it with: python3 -c "import h5py'],
    ['x.hdf5', 'is an HDF5 file'],
    ['x.arrow', 'is an Arrow, ORC or Avro file, which is not read; save it as Parquet'],
    ['x.feather', 'is an Arrow'],
    ['x.tfrecord', "is another program's container"],
    ['x.zip', 'is a packed archive, which is not read; unpack it'],
    ['x.tar.gz', 'is a packed archive'],
    ['x.npy.gz', 'is a compressed file'],
    ['x.xlsx', 'is a spreadsheet, which is not read; save it as CSV'],
    ['x.json', 'is a JSON file, which is not read; save it as JSON lines'],
    ['x.onnx', 'is a model'],
    ['x.mp4', 'is a film'],
    ['x.mp3', 'is a recording in another format than WAV, which is not read; save it as WAV'],
    ['x.flac', 'is a recording in another'],
    ['x.gif', 'is a picture in another'],
    ['x.tiff', 'is a picture in another'],
    ['x.png.crdownload', 'is a download that was not finished'],
  ])('%s', async (name, message) => {
    await expect(readData(source(name))).rejects.toThrow(`${name}: ${message}`);
    await expect(readData(source(name), { like: [16] })).rejects.toThrow(message);
  });

  it('also where the name says nothing, by its first bytes', async () => {
    await expect(readData(source('data', Uint8Array.of(0x89, 0x48, 0x44, 0x46, 1)))).rejects.toThrow(
      'data: seems to be an HDF5 file, which its name does not say; call it something.h5',
    );
    await expect(readData(source('data', Uint8Array.of(0x50, 0x4b, 3, 4, 1)))).rejects.toThrow(
      'seems to be a zip archive',
    );
    await expect(readData(source('data', 'hello'))).rejects.toThrow('By its name it was taken for an IDX file');
  });
});

describe('shards', () => {
  it('must be of one format, shape and type', async () => {
    await expect(readShards([source('a.npy', npy(2, 3)), source('b.csv', '1,2,3')])).rejects.toThrow(
      'a.npy: holds files of several formats, a.npy (npy) and b.csv (table), expected one',
    );
    await expect(readShards([source('a.npy', npy(2, 3)), source('b.npy', npy(2, 4))])).rejects.toThrow(
      "b.npy: 'x' is [4] an example, expected [3] as in a.npy",
    );
    const floats = writeNpy({ dtype: 'float32', shape: [1, 3], data: new Float32Array(3) });
    await expect(readShards([source('a.npy', npy(2, 3)), source('b.npy', floats)])).rejects.toThrow(
      'b.npy: holds numbers that are no pixels, expected pixels as in a.npy',
    );
  });

  it('say which are not there', async () => {
    const names = ['t-00000-of-00003.npy', 't-00002-of-00003.npy'];
    const data = await readShards(
      names.map((name) => source(name, npy(2, 3))),
      { name: 't' },
    );
    expect([data.length, data.notes()]).toEqual([
      4,
      ['t-…-of-00003: 2 of 3 files are there, the data may not be complete'],
    ]);
  });

  it('in a folder are those of one format and one split', () => {
    const of = (...names: string[]) => shardsIn(names, 'dir');
    expect(of('a.npy', 'b.npy', 'README.md', 'labels.csv')).toEqual(['a.npy', 'b.npy']);
    expect(of('a-images-idx3-ubyte', 'a-labels-idx1-ubyte.gz', 'b.idx')).toEqual(['a-images-idx3-ubyte', 'b.idx']);
    expect(of('README.md', 'LICENSE')).toEqual([]);
    expect(() => of('train-0.parquet', 'test-0.parquet')).toThrow(
      "dir: holds several sets, such as train-0.parquet, test-0.parquet; a pattern such as 'dir/train*' says which",
    );
    expect(() => of('a.npy', 'b.parquet')).toThrow(
      'dir: holds files of several formats, npy (a.npy), Parquet (b.parquet)',
    );
    expect(() => of('train-images-idx3-ubyte', 't10k-images-idx3-ubyte')).toThrow('dir: holds several sets');
  });
});

it('says that a format has no columns where one is chosen', async () => {
  await expect(readData(source('a.npy', npy(2, 3)), { column: 'x' })).rejects.toThrow(
    'a.npy: is npy, which has no columns: `column: x`',
  );
});

describe('tables', () => {
  const read = (name: string, content: string, options = {}) => readData(source(name, content), options);

  it.each([
    ['a.csv', 'a,b\n1,2\n3,x\n', {}, 'a.csv: line 3: \'b\' is "x", expected a number'],
    ['a.csv', 'a,b\n1,2\n3\n', {}, 'a.csv: line 3: has 1 fields, expected 2 as in line 1'],
    ['a.csv', 'a,b\n1,\n', {}, 'a.csv: line 2: \'b\' is "", expected a number'],
    ['a.csv', 'a,b\n"1",2\n3\n', {}, 'a.csv: Invalid Record Length'],
    ['a.csv', 'a,b\n"1,2\n', {}, 'a.csv: Quote Not Closed'],
    ['a.csv', '', {}, 'a.csv: holds no rows'],
    ['a.csv', 'a,b\n', {}, 'a.csv: holds no rows'],
    ['a.csv', 'a,a\n1,2', {}, "a.csv: has two columns called 'a'"],
    [
      'a.csv',
      'k,a\nx,1\n',
      {},
      "a.csv: column 'k' holds no numbers; say which columns hold the examples, with `column: a",
    ],
    ['a.csv', 'k,a\nx,1\n', { column: 'b' }, "a.csv: has no column 'b' for `column`; it has k, a"],
    ['a.csv', '1,nan\n', {}, 'a.csv: line 1: \'1\' is "nan", expected a number'],
    [
      'a.jsonl',
      '{"x": [1, 2]}\n{"x": [1]}\n',
      {},
      "a.jsonl: line 2: 'x' is no list of numbers of shape [2], as in line 1",
    ],
    ['a.jsonl', '{"x": 1}\n\n{"y": 1}\n', {}, "a.jsonl: line 3: has no 'x', as line 1 has"],
    ['a.jsonl', '{"x": 1}\n{', {}, 'a.jsonl: line 2: is not valid JSON'],
    ['a.jsonl', '{"x": null}', {}, "a.jsonl: line 1: 'x' is null, expected a number"],
    ['a.jsonl', '[[1, 2], [3]]', {}, "a.jsonl: line 1: 'x' is no list of numbers"],
  ] as const)('%s of %j %j is refused', async (name, content, options, message) => {
    await expect(read(name, content, options)).rejects.toThrow(message);
  });

  it('keep whole numbers that float32 would round', async () => {
    const data = await read('a.csv', '16777217,1\n5,3\n');
    expect((await data.gather([0])).arrays.x!.data).toEqual(BigInt64Array.of(16777217n, 1n));
  });
});
