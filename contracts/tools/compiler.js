#!/usr/bin/env node
// solcjs that stays: it compiles contracts of `src` as often as it is asked, and is ten times as quick once warm.
//
// Is: for mutants. A line of stdin names contracts, with blanks between; their code goes to `out`, where the
// tests load it from, and a line of stdout says `ok` or, in JSON, what is wrong. Not optimized, so larger than a
// chain would take.
// Is not: how anything is built that is shipped; forge and solc.js do that.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const solc = require("solc");

/** What the compiler asks for: a source, or a package's. */
function findImport(name) {
  try {
    return { contents: fs.readFileSync(name.startsWith("src/") ? name : path.join("node_modules", name), "utf8") };
  } catch (error) {
    return { error: error.message };
  }
}

/** Compile, and write what compiled; returns the errors. */
function compile(names) {
  const fileOf = (name) => `src/${name}.sol`;
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(names.map((name) => [fileOf(name), { content: fs.readFileSync(fileOf(name), "utf8") }])),
    settings: {
      evmVersion: "cancun",
      outputSelection: Object.fromEntries(names.map((name) => [fileOf(name), { [name]: ["evm.bytecode.object"] }])),
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const errors = (output.errors ?? []).filter((error) => error.severity === "error");
  if (errors.length !== 0) return errors.map((error) => error.formattedMessage);
  for (const name of names) {
    const code = output.contracts[fileOf(name)][name].evm.bytecode.object;
    fs.mkdirSync(`out/${name}.sol`, { recursive: true });
    fs.writeFileSync(`out/${name}.sol/${name}.json`, JSON.stringify({ abi: [], bytecode: { object: `0x${code}` } }));
  }
  return [];
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const errors = compile(line.split(" "));
  process.stdout.write(`${errors.length === 0 ? "ok" : JSON.stringify(errors)}\n`);
});
