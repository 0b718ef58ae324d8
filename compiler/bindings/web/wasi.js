// The part of WASI, preview 1, that the runtime of a model calls: files in memory that are read, time, random numbers, and messages.

const OK = 0, BADF = 8, EXIST = 20, INVAL = 28, NOENT = 44, NOSYS = 52;
const DIRECTORY = 3, REGULAR = 4;
/** The folder that all files are in, under the descriptor that the C library looks for first. */
const ROOT = 3;

/** What a module that ended by itself threw. */
export class Exit extends Error {
  constructor(status) {
    super(`the module ended with status ${status}`);
    this.status = status;
  }
}

/** A host for one instance. `files` maps paths without a leading slash to lists of pieces, each a `Uint8Array`. */
export class Host {
  constructor(files, say = (line) => console.error(line)) {
    this.files = files;
    this.say = say;
    this.open = new Map();
    this.next = ROOT + 1;
    this.said = '';
  }

  /** The instance whose memory the calls are about. */
  attach(instance) {
    this.memory = instance.exports.memory;
  }

  /** What the module imports. Calls that it has no need of fail with "not supported". */
  imports(module) {
    const names = WebAssembly.Module.imports(module).map((entry) => entry.name);
    return Object.fromEntries(names.map((name) => [name, this[name] ? this[name].bind(this) : () => NOSYS]));
  }

  get view() {
    return new DataView(this.memory.buffer);
  }

  bytes(at, length) {
    return new Uint8Array(this.memory.buffer, at >>> 0, length >>> 0);
  }

  text(at, length) {
    return new TextDecoder().decode(this.bytes(at, length).slice());
  }

  /** A path as the files are named: without `.`, `..` and slashes at the ends. */
  static plain(path) {
    const parts = [];
    for (const part of path.split('/')) {
      if (part === '..') parts.pop();
      else if (part !== '' && part !== '.') parts.push(part);
    }
    return parts.join('/');
  }

  isFolder(path) {
    return path === '' || [...this.files.keys()].some((name) => name.startsWith(`${path}/`));
  }

  fd_prestat_get(fd, at) {
    if (fd !== ROOT) return BADF;
    this.view.setUint32(at, 0, true);
    this.view.setUint32(at + 4, 1, true);
    return OK;
  }

  fd_prestat_dir_name(fd, at, length) {
    if (fd !== ROOT) return BADF;
    this.bytes(at, length).set(new TextEncoder().encode('/').subarray(0, length));
    return OK;
  }

  path_open(_fd, _flags, at, length, create, _rights, _more, _fdFlags, result) {
    const path = Host.plain(this.text(at, length));
    const folder = this.isFolder(path);
    if (!this.files.has(path) && !folder) return NOENT;
    if (create & 4) return EXIST;
    const fd = this.next++;
    this.open.set(fd, { pieces: folder ? [] : this.files.get(path), at: 0, folder });
    this.view.setUint32(result, fd, true);
    return OK;
  }

  fd_close(fd) {
    return this.open.delete(fd) ? OK : BADF;
  }

  static size(pieces) {
    return pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  stat(at, folder, size) {
    this.bytes(at, 64).fill(0);
    this.view.setUint8(at + 16, folder ? DIRECTORY : REGULAR);
    this.view.setBigUint64(at + 32, BigInt(size), true);
    return OK;
  }

  path_filestat_get(_fd, _flags, at, length, result) {
    const path = Host.plain(this.text(at, length));
    if (this.files.has(path)) return this.stat(result, false, Host.size(this.files.get(path)));
    return this.isFolder(path) ? this.stat(result, true, 0) : NOENT;
  }

  fd_filestat_get(fd, result) {
    const file = this.open.get(fd);
    return file ? this.stat(result, file.folder, Host.size(file.pieces)) : BADF;
  }

  fd_fdstat_get(fd, result) {
    const file = this.open.get(fd);
    if (!file && fd > ROOT) return BADF;
    this.bytes(result, 24).fill(0);
    this.view.setUint8(result, fd === ROOT || file?.folder ? DIRECTORY : fd < ROOT ? 2 : REGULAR);
    this.view.setBigUint64(result + 8, 0xffffffffffffffffn, true);
    this.view.setBigUint64(result + 16, 0xffffffffffffffffn, true);
    return OK;
  }

  fd_seek(fd, offset, from, result) {
    const file = this.open.get(fd);
    if (!file) return BADF;
    const start = from === 0 ? 0 : from === 1 ? file.at : Host.size(file.pieces);
    const at = start + Number(offset);
    if (at < 0) return INVAL;
    file.at = at;
    this.view.setBigUint64(result, BigInt(at), true);
    return OK;
  }

  /** Copies bytes of a file from `at` on; gives how many. */
  copy(pieces, at, to) {
    let done = 0, start = 0;
    for (const piece of pieces) {
      const from = at + done - start;
      if (from < piece.length && done < to.length) {
        const part = piece.subarray(from, from + to.length - done);
        to.set(part, done);
        done += part.length;
      }
      start += piece.length;
    }
    return done;
  }

  fd_pread(fd, vectors, count, offset, result) {
    const file = this.open.get(fd);
    if (!file || file.folder) return BADF;
    let at = Number(offset);
    const start = at;
    for (let n = 0; n < count; n++) {
      const place = this.view.getUint32(vectors + 8 * n, true);
      const to = this.bytes(place, this.view.getUint32(vectors + 8 * n + 4, true));
      const done = this.copy(file.pieces, at, to);
      at += done;
      if (done < to.length) break;
    }
    this.view.setUint32(result, at - start, true);
    return OK;
  }

  fd_read(fd, vectors, count, result) {
    const file = this.open.get(fd);
    if (!file) return BADF;
    const status = this.fd_pread(fd, vectors, count, file.at, result);
    if (status === OK) file.at += this.view.getUint32(result, true);
    return status;
  }

  /** Messages, line by line. */
  fd_write(fd, vectors, count, result) {
    if (fd !== 1 && fd !== 2) return BADF;
    let written = 0;
    for (let n = 0; n < count; n++) {
      const at = this.view.getUint32(vectors + 8 * n, true);
      const length = this.view.getUint32(vectors + 8 * n + 4, true);
      this.said += this.text(at, length);
      written += length;
    }
    const lines = this.said.split('\n');
    this.said = lines.pop();
    lines.forEach((line) => this.say(line));
    this.view.setUint32(result, written, true);
    return OK;
  }

  environ_sizes_get(count, size) {
    this.view.setUint32(count, 0, true);
    this.view.setUint32(size, 0, true);
    return OK;
  }

  environ_get() {
    return OK;
  }

  args_sizes_get(count, size) {
    return this.environ_sizes_get(count, size);
  }

  args_get() {
    return OK;
  }

  clock_time_get(id, _precision, result) {
    const now = id === 0 ? Date.now() : performance.now();
    this.view.setBigUint64(result, BigInt(Math.round(now * 1e6)), true);
    return OK;
  }

  random_get(at, length) {
    for (let start = 0; start < length; start += 65536) {
      crypto.getRandomValues(this.bytes(at + start, Math.min(65536, length - start)));
    }
    return OK;
  }

  sched_yield() {
    return OK;
  }

  proc_exit(status) {
    throw new Exit(status);
  }
}
