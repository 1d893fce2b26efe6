// Statements: the portal's own opening, with Buffers, and signing and sealing. From protocol/README.md alone.

import { secp256k1 } from '@noble/curves/secp256k1.js'
import * as bytes from '../../../node/portal/static/checks/bytes.js'
import * as statements from '../../../node/portal/static/checks/statements.js'
import { encode } from './cbor.js'

const buffered = (work) => (...given) => Buffer.from(work(...given))

export const keccak256 = buffered(bytes.keccak256)
export const uint = buffered(bytes.uint)
export const domainSeparator = buffered(statements.domainSeparator)
export const digestOf = buffered(statements.digestOf)
// The node's address of a public key, compressed or not.
export const addressOf = buffered(statements.addressOf)
// The signer's address. Raises NotCanonical where a signature is malformed.
export const recover = buffered(statements.recover)
// The kinds, and the slot that follows from each one's body.
export const KINDS = Object.fromEntries(Object.entries(statements.KINDS).map(([kind, slot]) => [kind, buffered(slot)]))

const VERSION = 1n

// 65 bytes, r ‖ s ‖ v, with the low s and the nonce of RFC 6979.
export function sign (digest, secret) {
  const [recovery, ...rest] = secp256k1.sign(digest, secret, { prehash: false, lowS: true, format: 'recovered' })
  return Buffer.from([...rest, 27 + recovery])
}

// fields: a message as the array of its fields. Gives the bytes of its envelope.
export function seal (separator, kind, fields, secret) {
  const body = encode(fields)
  return encode([VERSION, BigInt(kind), body, sign(digestOf(separator, kind, KINDS[kind](fields), body), secret)])
}

// An envelope without a look at the signature: { kind, fields, body, signature }.
export const read = (envelope) => statements.read(Buffer.from(envelope))

// { kind, fields, slot, digest, signer } of an envelope of a kind that is known here.
export function open (separator, envelope) {
  const opened = statements.open(separator, Buffer.from(envelope))
  const [slot, digest, signer] = [opened.slot, opened.digest, opened.signer].map((part) => Buffer.from(part))
  return { ...opened, slot, digest, signer }
}
