// Tensors and traces, written from protocol/README.md alone.

import { proves, root, rootProvedBy, sha256 } from './merkle.js'

const PIECE = 64
const TRACE_DOMAIN = Buffer.from('cuckoo/trace/3\0')
export const NO_TENSOR = sha256('')

function u32 (number) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(number)
  return bytes
}

const overCount = (numbers, over) => sha256(u32(numbers), over)

export function tensorHash (data) {
  if (data.length === 0) return NO_TENSOR
  const pieces = []
  for (let at = 0; at < data.length; at += 2 * PIECE) pieces.push(data.subarray(at, at + 2 * PIECE))
  return overCount(data.length / 2, root(pieces))
}

// Whether a piece holds number `place` of the tensor of so many numbers.
export function provesPiece (hash, numbers, place, piece, proof) {
  const at = Math.floor(place / PIECE)
  if (place >= numbers || piece.length !== 2 * Math.min(PIECE, numbers - at * PIECE)) return false
  const found = rootProvedBy(piece, at, Math.ceil(numbers / PIECE), proof)
  return found !== undefined && overCount(numbers, found).equals(hash)
}

export const leafOf = (tensors) => Buffer.concat(tensors.map(tensorHash))

export function traceRoot ({ taskId, miner, modelId, imageHash }, stepsRoot, finalLatent, sourceLatent) {
  return sha256(TRACE_DOMAIN, taskId, miner, modelId, sourceLatent, stepsRoot, finalLatent, imageHash)
}

// The leaves by step that an opening proves of a trace of so many steps; undefined if it is not of that trace.
export function openedLeaves (binding, steps, committed, [taskId, stepsRoot, finalLatent, sourceLatent, places]) {
  if (!binding.taskId.equals(taskId)) return undefined
  if (!traceRoot(binding, stepsRoot, finalLatent, sourceLatent).equals(committed)) return undefined
  const leaves = new Map()
  for (const [index, hashes, proof] of places) {
    const leaf = Buffer.concat(hashes)
    if (!proves(stepsRoot, leaf, Number(index), steps, proof)) return undefined
    leaves.set(Number(index), leaf)
  }
  return leaves
}
