// Files of a model: fetched in ranges, where the server knows these, and kept in the browser's cache.

/** Bytes of a range. */
const PIECE = 8 << 20;
/** The browser's cache in which ranges are kept, under names that contain the digest of their file. */
const CACHE = 'seqc';

/** The bytes of an address, of a file on the disk in Node.js. */
export async function bytesOf(url) {
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return new Uint8Array(await readFile(url));
  }
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: the server says ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function openCache(wanted) {
  try {
    return wanted && globalThis.caches ? await caches.open(CACHE) : undefined;
  } catch {
    // Pages without a secure origin have none.
    return undefined;
  }
}

/** Where a range is kept. */
function key(url, file, start) {
  return new URL(`?seqc=${file.digest}-${start}`, url);
}

/** Keeps a range; a cache that is full is no failure. */
async function keep(cache, at, piece) {
  try {
    await cache?.put(at, new Response(piece, { headers: { 'Content-Type': 'application/octet-stream' } }));
  } catch {
    // It is fetched again the next time.
  }
}

/**
 * The pieces of a file that `list` describes: `{name, bytes, digest}`. `progress` is called with the bytes of each piece, and whether they were kept.
 */
export async function fetchFile(base, file, { progress = () => {}, cache: wanted = true } = {}) {
  const url = new URL(file.name, base);
  if (url.protocol === 'file:') {
    const whole = await bytesOf(url);
    progress(whole.length, false);
    return [whole];
  }
  const cache = await openCache(wanted);
  const pieces = [];
  for (let start = 0; start < file.bytes; start += PIECE) {
    const at = key(url, file, start);
    const kept = await cache?.match(at);
    if (kept) {
      pieces.push(new Uint8Array(await kept.arrayBuffer()));
      progress(pieces.at(-1).length, true);
      continue;
    }
    const end = Math.min(start + PIECE, file.bytes);
    const answer = await fetch(url, { headers: { Range: `bytes=${start}-${end - 1}` } });
    if (answer.status === 206) {
      const piece = new Uint8Array(await answer.arrayBuffer());
      pieces.push(piece);
      progress(piece.length, false);
      await keep(cache, at, piece);
    } else if (answer.ok) {
      // A server that knows no ranges sends all of it.
      return whole(answer, url, file, cache, progress);
    } else {
      throw new Error(`${url}: the server says ${answer.status} ${answer.statusText}`);
    }
  }
  return checked(pieces, url, file);
}

function checked(pieces, url, file) {
  const found = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (found !== file.bytes) throw new Error(`${url}: ${found} bytes came, ${file.bytes} were expected`);
  return pieces;
}

/** A body as pieces, which are kept. */
async function whole(answer, url, file, cache, progress) {
  const pieces = [];
  let piece = new Uint8Array(Math.min(PIECE, file.bytes)), filled = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    progress(value.length, false);
    for (let from = 0; from < value.length; ) {
      const part = value.subarray(from, from + piece.length - filled);
      piece.set(part, filled);
      filled += part.length;
      from += part.length;
      if (filled === piece.length) {
        await keep(cache, key(url, file, pieces.length * PIECE), piece);
        pieces.push(piece);
        piece = new Uint8Array(PIECE);
        filled = 0;
      }
    }
  }
  if (filled > 0) {
    const rest = piece.slice(0, filled);
    await keep(cache, key(url, file, pieces.length * PIECE), rest);
    pieces.push(rest);
  }
  return checked(pieces, url, file);
}
