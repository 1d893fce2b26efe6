// Evidence about a trace or a verdict, written from protocol/README.md alone. What proves nothing raises an error.

import { decode } from './cbor.js'
import { ofHalf, single, singles, toHalf } from './half.js'
import { proves, sha256 } from './merkle.js'
import { decodeHead, integersOf, modelId, rowOf, provesRow, sameHalf, tensorNumbers } from './model.js'
import { digestOf, open } from './statements.js'
import { NO_TENSOR, provesPiece, traceRoot } from './trace.js'

const [LATENT, UNCONDITIONAL, SOURCE] = [0, 1, 3]
const [STARTS, STEPS] = [4n, 5n]
const GUIDANCE_MAX = 30_000
const QUANTILES = Buffer.from('10e691a8bde2ffac952c82b2ceca3204a974ff73213f86d896896624b1b4d07e', 'hex')

function require (holds, why) {
  if (!holds) throw new Error(why)
}

function split (proved, size) {
  const [leaf, rest] = [proved.subarray(0, size), proved.subarray(size)]
  require(leaf.length === size && rest.length % 32 === 0, 'no whole hashes')
  return [leaf, Array.from({ length: rest.length / 32 }, (_, at) => rest.subarray(32 * at, 32 * at + 32))]
}

// The links that all forms share: announcement, commitment, trace.
class Shown {
  constructor (separator, announcement, commitment) {
    const task = decode(announcement)
    const [, epoch, number, , model, [kind, units, details], input] = task
    const { kind: signed, fields, signer, digest, slot } = open(separator, commitment)
    const slotOfTask = Buffer.from(((epoch << 64n) | number).toString(16).padStart(64, '0'), 'hex')
    require(signed === 4 && fields[0].equals(digestOf(separator, 2, slotOfTask, announcement)), 'another task')
    require(kind <= 1n, 'kind of work')
    Object.assign(this, { model, input, fields, signer, digest, slot, hasSource: kind === 1n })
    this.units = Number(units)
    this.sides = decode(details).map(Number)
  }

  trace (hashes) {
    [this.source, this.steps, this.final] = [0, 32, 64].map((at) => hashes.subarray(at, at + 32))
    const [taskId, , , imageHash, root] = this.fields
    const binding = { taskId, miner: this.signer, modelId: this.model, imageHash }
    require(traceRoot(binding, this.steps, this.final, this.source).equals(root), 'another trace')
  }

  rules (model, half) {
    const [files, head, rows] = [model.subarray(0, 32), model.subarray(32, 44), model.subarray(44)]
    require(modelId(files, head, rows).equals(this.model), 'another model')
    Object.assign(this, { head: decodeHead(head), rows })
    this.size = tensorNumbers(this.head, ...this.sides)
    require(this.size !== null, 'size')
    const [encoded, sealed] = [half.subarray(0, -32), half.subarray(-32)]
    require(proves(this.input, encoded, 0, 2, [sealed]), 'another input')
    const [seed, guidance, schedule] = decode(decode(encoded)[0])
    Object.assign(this, { seed, guidance: Number(guidance), schedule: Number(schedule), guided: guidance > 1000n })
    require(this.guidance <= GUIDANCE_MAX, 'guidance')
  }

  row (step, proved) {
    const [row, proof] = split(proved, 40)
    require(this.hasSource || this.schedule === this.units, 'schedule')
    require(step < this.units && this.units <= this.schedule && this.schedule <= this.head.stepsMax, 'no such step')
    require(provesRow(this.rows, this.head, row, rowOf(this.schedule, this.units, step), proof), 'another row')
    return singles(row)
  }

  leaf (step, proved) {
    const [leaf, proof] = split(proved, 96)
    require(proves(this.steps, leaf, step, this.units, proof), 'another leaf')
    return [0, 32, 64].map((at) => leaf.subarray(at, at + 32))
  }
}

function bitsOf (tensor, size, number, proved) {
  require(number < size, 'no such number')
  const [piece, proof] = split(proved, 2 * Math.min(64, size - Math.floor(number / 64) * 64))
  require(provesPiece(tensor, size, number, piece, proof), 'another piece')
  return piece.readUInt16LE(2 * (number % 64))
}

// Takes the pieces of one number one by one.
function taker (pieces, size, number) {
  const left = [...pieces]
  const take = (tensor) => {
    require(left.length > 0, 'a piece is missing')
    const bits = bitsOf(tensor, size, number, left.shift())
    require((bits & 0x7c00) !== 0x7c00, 'not finite')
    return bits
  }
  return { take, close: () => require(left.length === 0, 'a piece too many') }
}

// Gives the number as committed to and as expected, 16 bits each.
function stepNumber (shown, [step, number, row, leaves, pieces]) {
  const [, a, b, c, d, e, f] = shown.row(step, row)
  const isLast = step + 1 === shown.units
  const looksBack = step > 0 && (c !== 0 || d !== 0)
  const places = [step, ...(isLast ? [] : [step + 1]), ...(looksBack ? [step - 1] : [])]
  require(places.length === leaves.length, 'leaves')
  const known = new Map(places.map((place, at) => [place, shown.leaf(place, leaves[at])]))
  const { take, close } = taker(pieces, shown.size, number)
  const state = ([latent, unconditional, conditional]) => {
    const x = ofHalf(take(latent))
    const u = shown.guided ? ofHalf(take(unconditional)) : 0
    const wanted = ofHalf(take(conditional))
    const scale = single(shown.guidance / 1000)
    return [x, shown.guided ? single(u + single(scale * single(wanted - u))) : wanted]
  }
  const committed = take(isLast ? shown.final : known.get(step + 1)[0])
  const [x, m] = state(known.get(step))
  let sum = single(single((step ? a : e) * x) + single((step ? b : f) * m))
  if (looksBack) {
    const [before, output] = state(known.get(step - 1))
    sum = single(single(sum + single(c * before)) + single(d * output))
  }
  close()
  return { step, tensor: LATENT, number, committed, expected: toHalf(sum) }
}

function startNumber (shown, [number, row, leaf, quantiles, pieces]) {
  const [p, q] = shown.row(0, row).slice(7, 9)
  const [first] = shown.leaf(0, leaf)
  const entry = integersOf(shown.seed, number + 1)[number]
  const [entries, proof] = split(quantiles, 64)
  require(proves(QUANTILES, entries, Math.floor(entry / 16), 4096, proof), 'quantiles')
  const quantile = entries.readFloatBE(4 * (entry % 16))
  const { take, close } = taker(pieces, shown.size, number)
  const committed = take(first)
  const source = shown.hasSource ? ofHalf(take(shown.source)) : null
  close()
  const expected = source === null ? toHalf(quantile) : toHalf(single(single(p * source) + single(q * quantile)))
  return { step: 0, tensor: LATENT, number, committed, expected }
}

function tensorOf (shown, step, tensor, leaves) {
  const isFinal = tensor === LATENT && step === shown.units
  if (isFinal || tensor === SOURCE) {
    require(leaves.length === 0 && (isFinal || step === 0), 'no such tensor')
    return isFinal ? shown.final : shown.source
  }
  require(leaves.length === 1, 'leaves')
  return shown.leaf(step, leaves[0])[tensor]
}

function malformed (shown, [step, tensor, leaves, hashed]) {
  const hash = tensorOf(shown, step, tensor, leaves)
  const wanted = tensor === UNCONDITIONAL ? shown.guided : tensor === SOURCE ? shown.hasSource : true
  const isThere = !hash.equals(NO_TENSOR)
  let numbers = isThere ? null : 0
  for (const preimage of hashed) {
    require(sha256(preimage).equals(hash), 'another hash')
    numbers = preimage.readUInt32BE(0)
  }
  require(isThere !== wanted || (hashed.length > 0 && numbers !== shown.size), 'well formed')
  return { step, tensor, numbers, expected: wanted ? shown.size : 0 }
}

const plain = (value) => (typeof value === 'bigint' ? Number(value) : value)

// What evidence of the faults 5 to 10 proves, as { fault, signer, slot, finding }.
export function judge (separator, data) {
  const [fault, ...fields] = decode(data).map(plain)
  if (fault === 10) return falseVerdict(separator, ...fields)
  const { shown, finding } = find(separator, fault, fields)
  if (fault === 5 || fault === 6) require(!sameHalf(finding.committed, finding.expected), 'the number is right')
  return { fault, signer: shown.signer, slot: shown.slot, finding }
}

function find (separator, fault, [announcement, commitment, hashes, ...rest]) {
  const shown = new Shown(separator, announcement, commitment)
  if (fault === 8) {
    const committed = Number(shown.fields[5])
    require(hashes === undefined && committed !== shown.units, 'the count is right')
    return { shown, finding: { committed, expected: shown.units } }
  }
  shown.trace(hashes)
  if (fault === 7) {
    const [step, tensor, size, number, leaves, piece] = rest
    const committed = bitsOf(tensorOf(shown, step, tensor, leaves), size, number, piece)
    require((committed & 0x7c00) === 0x7c00, 'the number is finite')
    return { shown, finding: { step, tensor, number, committed, expected: null } }
  }
  shown.rules(...rest.splice(0, 2))
  const rule = { 5: stepNumber, 6: startNumber, 9: malformed }[fault]
  require(rule, 'unknown fault')
  return { shown, finding: rule(shown, rest) }
}

function falseVerdict (separator, envelope, refuted) {
  const { kind, fields, signer, slot } = open(separator, envelope)
  const [, , commitment, verdict, reason, , , places] = fields
  require(kind === 5 && verdict === 1n && (reason === STARTS || reason === STEPS), 'no number')
  const [fault, ...rest] = decode(refuted).map(plain)
  require(fault === (reason === STEPS ? 5 : 6), 'another form')
  const { shown, finding } = find(separator, fault, rest)
  require(places.length === 1 && places[0].map(Number).join() === [finding.step, LATENT, finding.number].join(), 'place')
  require(shown.digest.equals(commitment), 'another commitment')
  require(sameHalf(finding.committed, finding.expected), 'the verdict is right')
  return { fault: 10, signer, slot, finding }
}
