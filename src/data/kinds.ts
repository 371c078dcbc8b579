// The name of a file that no reader takes in; what it is, and what to do about it, out.

/** What the user has in place of data, and how it becomes some. */
export interface OtherKind {
  readonly names: RegExp;
  readonly what: string;
  /** IN stands for the file, OUT for the file without its ending. */
  readonly advice: string;
}

/** A command for a shell that makes arrays of the file. */
const saveArray = (program: string, result = 'npy') => `make OUT.${result} of it with: python3 -c "${program}"`;

/** All arrays of an HDF5 file, by their paths in it. */
const HDF5 =
  "import h5py, numpy; a = {}; h5py.File('IN').visititems(lambda k, v: a.update({k: v[()]}) if hasattr(v, 'shape') else None); numpy.savez('OUT.npz', **a)";

/** For MATLAB files of other versions than 5. */
export const matlabAdvice = {
  v4: "make OUT-v5.mat of it with: python3 -c \"import scipy.io as s; s.savemat('OUT-v5.mat', {k: v for k, v in s.loadmat('IN').items() if k[0] != '_'})\"",
  v73: `in MATLAB, save it with '-v7', or make OUT-v5.mat of it with: python3 -c "import h5py, scipy.io as s; s.savemat('OUT-v5.mat', {k: v[()].T for k, v in h5py.File('IN').items() if hasattr(v, 'shape')})"`,
} as const;

/** `advice` for this file. */
export function adviceFor(advice: string, path: string): string {
  const file = /^[^'"\\$`!]+$/.test(path) ? path : 'FILE';
  const bare = file.replace(/\.[^./\\]*$/, '');
  return advice.replace(/\b(IN|OUT)\b/g, (word) => (word === 'IN' ? file : bare));
}

/** Told by name; the first that fits. */
export const otherKinds: readonly OtherKind[] = [
  {
    names: /\.(npy|npz|csv|tsv|jsonl|ndjson|parquet|txt|mat|wav|json)\.(gz|bz2|xz|zst)$/i,
    what: 'a compressed file',
    advice: 'unpack it',
  },
  {
    names: /\.(zip|7z|rar|tgz|tbz2?|txz|tar\.(gz|bz2|xz|zst)|bz2|xz|zst)$/i,
    what: 'a packed archive',
    advice: 'unpack it, and give the files or the folder in it',
  },
  {
    names: /\.(pt|pth|ckpt|bin\.index|t7)$/i,
    what: 'a file of PyTorch',
    advice: saveArray("import torch, numpy; numpy.save('OUT.npy', torch.load('IN').numpy())"),
  },
  {
    names: /\.(pkl|pickle|joblib)$/i,
    what: 'a Python pickle, which is a program rather than data',
    advice: saveArray("import pickle, numpy; numpy.save('OUT.npy', pickle.load(open('IN', 'rb')))"),
  },
  {
    names: /\.safetensors$/i,
    what: 'a file of tensors (safetensors)',
    advice: saveArray(
      "import numpy; from safetensors.numpy import load_file; numpy.savez('OUT.npz', **load_file('IN'))",
      'npz',
    ),
  },
  {
    names: /\.(h5|hdf5|hdf|he5|nc|nc4|keras)$/i,
    what: 'an HDF5 file',
    advice: `${saveArray(HDF5, 'npz')}; one of its arrays is then OUT.npz:NAME`,
  },
  {
    names: /\.(arrow|feather|ipc|orc|avro)$/i,
    what: 'an Arrow, ORC or Avro file',
    advice: 'save it as Parquet, such as with pyarrow.parquet.write_table or DuckDB',
  },
  {
    names: /\.(tfrecords?|rec|beton|lmdb|mdb|msgpack|db|sqlite3?|duckdb)$/i,
    what: "another program's container of records",
    advice: 'save its pictures as files or in a Parquet column, its numbers as NPY',
  },
  { names: /\.(xlsx?|ods|numbers)$/i, what: 'a spreadsheet', advice: 'save it as CSV' },
  { names: /\.json$/i, what: 'a JSON file', advice: 'save it as JSON lines (.jsonl), one example a line' },
  { names: /\.(onnx|pb|tflite|gguf)$/i, what: 'a model', advice: 'give the data that it is to score' },
  { names: /\.(mp4|avi|mov|mkv|webm|mpe?g)$/i, what: 'a film', advice: 'save its frames as pictures' },
  {
    names: /\.(mp3|flac|ogg|oga|opus|m4a|aac|wma|aif|aiff|aifc|au|snd|amr|caf|ape|wv|mka|sph|w64)$/i,
    what: 'a recording in another format than WAV',
    advice: 'save it as WAV, such as with: ffmpeg -i IN OUT.wav',
  },
  {
    names:
      /\.(apng|gif|bmp|dib|tiff?|avif|hei[cf]|jxl|jp2|j2k|p[pgbn]m|svgz?|exr|hdr|ico|tga|psd|xcf|pcx|dds|qoi|dng|dcm)$/i,
    what: 'a picture in another format than PNG, JPEG or WebP',
    advice: 'save it as PNG',
  },
  { names: /\.(pdf|docx?|html?|xml|yaml|yml)$/i, what: 'a document', advice: 'save its text as .txt' },
  {
    names: /\.(crdownload|part|partial|download|aria2)$/i,
    what: 'a download that was not finished',
    advice: 'get it again',
  },
];

/** By the first bytes, for files whose names say nothing. */
const signatures: readonly { readonly starts: readonly number[]; readonly what: string; readonly ending: string }[] = [
  { starts: [0x89, 0x48, 0x44, 0x46], what: 'an HDF5 file', ending: '.h5' },
  { starts: [0x89, 0x50, 0x4e, 0x47], what: 'a PNG picture', ending: '.png' },
  { starts: [0xff, 0xd8, 0xff], what: 'a JPEG picture', ending: '.jpg' },
  { starts: [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], what: 'a NumPy array', ending: '.npy' },
  { starts: [0x50, 0x4b, 0x03, 0x04], what: 'a zip archive, such as .npz and .pt are', ending: '.npz' },
  { starts: [0x50, 0x41, 0x52, 0x31], what: 'a Parquet file', ending: '.parquet' },
  { starts: [0x52, 0x49, 0x46, 0x46], what: 'a WAV or WebP file', ending: '.wav' },
  { starts: [0x80, 0x02], what: 'a Python pickle', ending: '.pkl' },
  { starts: [0x80, 0x04], what: 'a Python pickle', ending: '.pkl' },
  { starts: [0x41, 0x52, 0x52, 0x4f, 0x57, 0x31], what: 'an Arrow file', ending: '.arrow' },
  { starts: [0x66, 0x4c, 0x61, 0x43], what: 'a FLAC recording', ending: '.flac' },
  { starts: [0x49, 0x44, 0x33], what: 'an MP3 recording', ending: '.mp3' },
  { starts: [0xff, 0xfb], what: 'an MP3 recording', ending: '.mp3' },
  { starts: [0x46, 0x4f, 0x52, 0x4d], what: 'an AIFF recording', ending: '.aiff' },
  { starts: [0x4f, 0x67, 0x67, 0x53], what: 'an Ogg recording', ending: '.ogg' },
  { starts: [0x47, 0x49, 0x46, 0x38], what: 'a GIF picture', ending: '.gif' },
  { starts: [0x1f, 0x8b], what: 'a file that gzip has packed', ending: '.gz' },
  { starts: [0x28, 0xb5, 0x2f, 0xfd], what: 'a file that zstd has packed', ending: '.zst' },
  { starts: [0x42, 0x5a, 0x68], what: 'a file that bzip2 has packed', ending: '.bz2' },
  { starts: [0xfd, 0x37, 0x7a, 0x58, 0x5a], what: 'a file that xz has packed', ending: '.xz' },
];

/** What a file that is called otherwise seems to be; undefined where its beginning does not tell. */
export function seemsToBe(bytes: Uint8Array): { readonly what: string; readonly ending: string } | undefined {
  return signatures.find(({ starts }) => starts.every((byte, i) => bytes[i] === byte));
}
