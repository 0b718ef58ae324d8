#!/usr/bin/env -S node --no-warnings --no-turbo-fast-api-calls
// Runs a command of WASI under Node.js: `scripts/wasi.mjs PROGRAM.wasm WORD...`. The program sees the files of this machine, by absolute paths.
// Node.js 20 damages its memory where it calls functions of WASI the fast way while that of the program grows, hence the option above.
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const words = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1', args: words, env: process.env, preopens: { '/': '/' }, returnOnExit: true });
const module = await WebAssembly.compile(readFileSync(words[0]));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
