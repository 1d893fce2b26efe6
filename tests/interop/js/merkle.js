// Merkle trees of RFC 6962 §2.1, as protocol/README.md wants them.

import { createHash } from 'node:crypto'

export const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest()
export const leafHash = (leaf) => sha256(Buffer.of(0), leaf)
const nodeHash = (left, right) => sha256(Buffer.of(1), left, right)

// The largest power of two below count.
function split (count) {
  let size = 1
  while (2 * size < count) size *= 2
  return size
}

export function root (leaves) {
  if (leaves.length === 0) return sha256('')
  if (leaves.length === 1) return leafHash(leaves[0])
  const size = split(leaves.length)
  return nodeHash(root(leaves.slice(0, size)), root(leaves.slice(size)))
}

// The root that follows from a leaf's hash and its siblings from the leaf up; undefined if there are too many or few.
function rootOf (hash, index, count, proof) {
  if (count === 1) return proof.length === 0 ? hash : undefined
  if (proof.length === 0) return undefined
  const [below, sibling] = [proof.slice(0, -1), proof.at(-1)]
  const size = split(count)
  const left = index < size
  const inner = left ? rootOf(hash, index, size, below) : rootOf(hash, index - size, count - size, below)
  return inner && (left ? nodeHash(inner, sibling) : nodeHash(sibling, inner))
}

// For a root that is only known by a hash over it.
export function rootProvedBy (leaf, index, count, proof) {
  return index < 0 || index >= count ? undefined : rootOf(leafHash(leaf), index, count, proof)
}

export function proves (expected, leaf, index, count, proof) {
  return rootProvedBy(leaf, index, count, proof)?.equals(expected) ?? false
}
