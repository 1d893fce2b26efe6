// Bytes (Uint8Array), hexadecimal and hashes, for the checks that a page makes by itself.

import { sha256 as sha2 } from "./noble/hashes/sha2.js";
import { keccak_256 } from "./noble/hashes/sha3.js";

const encoder = new TextEncoder();

/** One array of parts, each bytes or text. */
export function concat(...parts) {
  const arrays = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
  const whole = new Uint8Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    whole.set(array, at);
    at += array.length;
  }
  return whole;
}

export const keccak256 = (...parts) => keccak_256(concat(...parts));
export const sha256 = (...parts) => sha2(concat(...parts));
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Bytes of hexadecimal with or without 0x. Raises TypeError. */
export function fromHex(text) {
  const digits = typeof text === "string" ? text.replace(/^0x/, "") : "-";
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new TypeError("not hexadecimal");
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

/** The whole number that bytes are, big-endian. */
export const integer = (bytes) => BigInt(`0x${toHex(bytes) || "0"}`);

/** A whole number as so many bits, big-endian. */
export const uint = (number, bits) => fromHex(BigInt(number).toString(16).padStart(bits / 4, "0"));
