#!/usr/bin/env node
// A solc-shaped front for solcjs, so that forge builds with the compiler that npm pins.
//
// Is: the two calls that forge makes, `--version` and `--standard-json` (input on stdin, output on stdout).
// Is not: solc. Paths and remappings are forge's work; it sends every source inside the JSON.
"use strict";

const fs = require("node:fs");

/** Write all of `text` before returning: an asynchronous write to a pipe is cut at exit. */
function writeWholly(text) {
  const bytes = Buffer.from(text, "utf8");
  let written = 0;
  while (written < bytes.length) {
    try {
      written += fs.writeSync(1, bytes, written);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error; // a full pipe that does not block: try again
    }
  }
}

if (process.argv.includes("--version")) {
  // forge asks whenever it starts, and refuses the whole version with its `Emscripten.clang`: loading the
  // compiler to ask it would take longer than many a test.
  const { version } = require("solc/package.json");
  writeWholly(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (process.argv.includes("--standard-json")) {
  writeWholly(require("solc").compile(fs.readFileSync(0, "utf8")));
} else {
  process.stderr.write("usage: solc.js --version | --standard-json < input.json\n");
  process.exit(2);
}
