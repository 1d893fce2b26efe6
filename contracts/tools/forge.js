#!/usr/bin/env node
// forge itself, run with these arguments, ending with its own exit status.
//
// Is: what `npm test` and everything else that must notice a failure has to call.
// Is not: node_modules/.bin/forge, which ends with 0 whatever forge found.
"use strict";

const { spawnSync } = require("node:child_process");
const path = require("node:path");

const system = { darwin: "darwin", linux: "linux", win32: "win32" }[process.platform];
const machine = { arm64: "arm64", x64: "amd64" }[process.arch];
const binary = process.platform === "win32" ? "forge.exe" : "forge";
const packages = path.join(__dirname, "..", "node_modules", "@foundry-rs");
const file = path.join(packages, `forge-${system}-${machine}`, "bin", binary);
const run = spawnSync(file, process.argv.slice(2), { stdio: "inherit" });
if (run.error) {
  process.stderr.write(`forge does not run: ${run.error.message}\nrun \`make setup\` (npm ci in contracts/)\n`);
}
process.exit(run.status ?? 1);
