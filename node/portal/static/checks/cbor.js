// Canonical CBOR, written from protocol/README.md alone.
// Values: BigInt (unsigned integers), Uint8Array (byte strings), string (text), Array.
// Is: a total decoder; what is not canonical raises NotCanonical, and nothing else is raised.

import { concat, integer, uint } from "./bytes.js";

export class NotCanonical extends Error {}

const BYTES_MAX = 1_048_576;
const DEPTH_MAX = 6;

function head(major, number) {
  const n = BigInt(number);
  const byte = (info) => Uint8Array.of((major << 5) | info);
  if (n < 24n) return byte(Number(n));
  const [info, length] = n < 1n << 8n ? [24, 1] : n < 1n << 16n ? [25, 2] : n < 1n << 32n ? [26, 4] : [27, 8];
  return concat(byte(info), uint(n, 8 * length));
}

/** Bytes of a value; a number is taken as a BigInt. */
export function encode(value) {
  if (typeof value === "bigint" || typeof value === "number") return head(0, value);
  if (typeof value === "string") {
    const text = concat(value);
    return concat(head(3, text.length), text);
  }
  if (value instanceof Uint8Array) return concat(head(2, value.length), value);
  return concat(head(4, value.length), ...value.map(encode));
}

/** The value in bytes. @throws {NotCanonical} */
export function decode(data) {
  if (data.length > BYTES_MAX) throw new NotCanonical("too long");
  let at = 0;

  function take(count) {
    if (count > data.length - at) throw new NotCanonical("truncated");
    at += count;
    return data.slice(at - count, at);
  }

  function argument(info) {
    if (info < 24) return BigInt(info);
    if (info > 27) throw new NotCanonical("reserved, or an indefinite length");
    const length = 1 << (info - 24);
    const number = integer(take(length));
    // The shortest form: what fits into half as many bytes, or into the head, is written so.
    if (number < (length === 1 ? 24n : 1n << BigInt(4 * length))) throw new NotCanonical("not the shortest form");
    return number;
  }

  function item(depth) {
    const [first] = take(1);
    const major = first >> 5;
    if (![0, 2, 3, 4].includes(major)) throw new NotCanonical("a type that never occurs");
    const number = argument(first & 31);
    if (major === 0) return number;
    // Each item of an array takes a byte at least, so no length may exceed what is left.
    if (number > BigInt(data.length - at)) throw new NotCanonical("a length that lies");
    if (major === 2) return take(Number(number));
    if (major === 3) return text(take(Number(number)));
    if (depth === DEPTH_MAX) throw new NotCanonical("too deep");
    return Array.from({ length: Number(number) }, () => item(depth + 1));
  }

  const value = item(0);
  if (at !== data.length) throw new NotCanonical("bytes after the item");
  return value;
}

function text(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new NotCanonical("not UTF-8");
  }
}
