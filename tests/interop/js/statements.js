// Statements: envelopes, slots, the EIP-712 digest, signing and opening. From protocol/README.md alone.

import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { decode, encode, NotCanonical } from './cbor.js'

export const keccak256 = (...parts) => Buffer.from(keccak_256(Buffer.concat(parts.map((part) => Buffer.from(part)))))
export const uint = (number, bits) => Buffer.from(BigInt(number).toString(16).padStart(bits / 4, '0'), 'hex')

const VERSION = 1n
const HALF_ORDER = secp256k1.Point.CURVE().n / 2n
const NOTHING = Buffer.alloc(12)

// The kinds, and the slot that follows from each one's body (an array of fields in the order of its table).
export const KINDS = {
  1: ([sequence]) => uint(sequence, 256),
  2: ([, epoch, number]) => uint((epoch << 64n) | number, 256),
  3: ([taskId]) => taskId,
  4: ([taskId]) => taskId,
  5: ([taskId, miner]) => keccak256(taskId, NOTHING, miner),
  64: ([taskId, index]) => keccak256(taskId, uint(index, 256))
}

export function domainSeparator (chainId, contract, name = 'Cuckoo') {
  return keccak256(
    keccak256('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'),
    keccak256(name), keccak256('1'), uint(chainId, 256), NOTHING, contract
  )
}

export function digestOf (separator, kind, slot, body) {
  const struct = keccak256(keccak256('Statement(uint8 kind,bytes32 slot,bytes32 body)'), uint(kind, 256), slot, keccak256(body))
  return keccak256('\x19\x01', separator, struct)
}

// The node's address of a public key, compressed or not.
export function addressOf (publicKey) {
  return keccak256(secp256k1.Point.fromBytes(publicKey).toBytes(false).subarray(1)).subarray(-20)
}

// 65 bytes, r ‖ s ‖ v, with the low s and the nonce of RFC 6979.
export function sign (digest, secret) {
  const [recovery, ...rest] = secp256k1.sign(digest, secret, { prehash: false, lowS: true, format: 'recovered' })
  return Buffer.from([...rest, 27 + recovery])
}

// The signer's address. Raises NotCanonical where a signature is malformed.
export function recover (digest, signature) {
  const [s, v] = [BigInt('0x' + signature.subarray(32, 64).toString('hex')), signature[64]]
  if (signature.length !== 65 || (v !== 27 && v !== 28) || s > HALF_ORDER) throw new NotCanonical('signature is malformed')
  try {
    const recovered = Buffer.concat([Buffer.of(v - 27), signature.subarray(0, 64)])
    return addressOf(secp256k1.recoverPublicKey(recovered, digest, { prehash: false }))
  } catch {
    throw new NotCanonical('signature is malformed')
  }
}

// fields: a message as the array of its fields. Gives the bytes of its envelope.
export function seal (separator, kind, fields, secret) {
  const body = encode(fields)
  return encode([VERSION, BigInt(kind), body, sign(digestOf(separator, kind, KINDS[kind](fields), body), secret)])
}

// An envelope without a look at the signature: { kind, fields, body, signature }.
export function read (envelope) {
  const items = decode(envelope)
  if (!Array.isArray(items) || items.length !== 4) throw new NotCanonical('not an envelope')
  const [version, kind, body, signature] = items
  if (version !== VERSION || typeof kind !== 'bigint' || !(body instanceof Uint8Array) ||
      !(signature instanceof Uint8Array) || signature.length !== 65) throw new NotCanonical('not an envelope')
  const fields = decode(body)
  if (!Array.isArray(fields)) throw new NotCanonical('a body that is no struct')
  return { kind: Number(kind), fields, body, signature }
}

// { kind, fields, slot, digest, signer } of an envelope of a kind that is known here.
export function open (separator, envelope) {
  const { kind, fields, body, signature } = read(envelope)
  const slot = KINDS[kind](fields)
  const digest = digestOf(separator, kind, slot, body)
  return { kind, fields, slot, digest, signer: recover(digest, signature) }
}
