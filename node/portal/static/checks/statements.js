// Statements: envelopes, slots, the EIP-712 digest, and opening. From protocol/README.md alone.

import { concat, integer, keccak256, uint } from "./bytes.js";
import { decode, NotCanonical } from "./cbor.js";
import { sha256 } from "./noble/hashes/sha2.js";
import { ecdsa, weierstrass } from "./noble/curves/abstract/weierstrass.js";

// SEC 2, 2.4.1. Not noble's own module of it: that brings Schnorr, threshold signatures and hashing to the curve.
const CURVE = {
  p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn,
  n: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
  h: 1n,
  a: 0n,
  b: 7n,
  Gx: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  Gy: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
};
const secp256k1 = ecdsa(weierstrass(CURVE), sha256);
const VERSION = 1n;
const HALF_ORDER = CURVE.n / 2n;
const SIGNATURE_BYTES = 65;
const NOTHING = new Uint8Array(12);

/** The kinds, and the slot that follows from each one's body (an array of fields in the order of its table). */
export const KINDS = {
  1: ([sequence]) => uint(sequence, 256),
  2: ([, epoch, number]) => uint((epoch << 64n) | number, 256),
  3: ([taskId]) => taskId,
  4: ([taskId]) => taskId,
  5: ([taskId, miner]) => keccak256(taskId, NOTHING, miner),
  64: ([taskId, index]) => keccak256(taskId, uint(index, 256)),
};

export function domainSeparator(chainId, contract, name = "Cuckoo") {
  return keccak256(
    keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
    keccak256(name), keccak256("1"), uint(chainId, 256), NOTHING, contract,
  );
}

export function digestOf(separator, kind, slot, body) {
  const struct = keccak256(keccak256("Statement(uint8 kind,bytes32 slot,bytes32 body)"), uint(kind, 256), slot, keccak256(body));
  return keccak256("\x19\x01", separator, struct);
}

/** The node's address of a public key, compressed or not. */
export const addressOf = (publicKey) => keccak256(secp256k1.Point.fromBytes(publicKey).toBytes(false).subarray(1)).slice(-20);

/** The signer's address. @throws {NotCanonical} a signature is malformed */
export function recover(digest, signature) {
  const [s, v] = [integer(signature.subarray(32, 64)), signature[64]];
  if (signature.length !== SIGNATURE_BYTES || (v !== 27 && v !== 28) || s > HALF_ORDER) throw new NotCanonical("signature is malformed");
  try {
    const recovered = concat(Uint8Array.of(v - 27), signature.subarray(0, 64));
    return addressOf(secp256k1.recoverPublicKey(recovered, digest, { prehash: false }));
  } catch {
    throw new NotCanonical("signature is malformed");
  }
}

/** An envelope without a look at the signature: { kind, fields, body, signature }. @throws {NotCanonical} */
export function read(envelope) {
  const items = decode(envelope);
  if (!Array.isArray(items) || items.length !== 4) throw new NotCanonical("not an envelope");
  const [version, kind, body, signature] = items;
  const areBytes = body instanceof Uint8Array && signature instanceof Uint8Array && signature.length === SIGNATURE_BYTES;
  if (version !== VERSION || typeof kind !== "bigint" || !areBytes) throw new NotCanonical("not an envelope");
  const fields = decode(body);
  if (!Array.isArray(fields)) throw new NotCanonical("a body that is no struct");
  return { kind: Number(kind), fields, body, signature };
}

/** { kind, fields, slot, digest, signer } of an envelope of a kind that is known here. @throws {NotCanonical} */
export function open(separator, envelope) {
  const { kind, fields, body, signature } = read(envelope);
  const slot = KINDS[kind](fields);
  const digest = digestOf(separator, kind, slot, body);
  return { kind, fields, slot, digest, signer: recover(digest, signature) };
}
