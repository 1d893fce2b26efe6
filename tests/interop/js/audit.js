// The dice of audits, and the places of sketches, by the definition in protocol/README.md.

import { ranking } from './draw.js'
import { keccak256, uint } from './statements.js'

const PPM = 1_000_000n
const AUDITORS = 2
const PLACES_MAX = 256
const integer = (bytes) => BigInt('0x' + Buffer.from(bytes).toString('hex'))

export const diceOf = (blockHash, commitment) => keccak256('cuckoo/audit/1', blockHash, commitment)
export const selects = (dice, ppm) => integer(dice.subarray(0, 8)) * PPM < BigInt(ppm) << 64n
export const stepsEach = (steps) => Math.max(1, Math.min(3, Math.floor(steps / 6)))

// registrations: [{ node (hex), owner (hex), block }]. terms, block: as in the vectors.
export function selectedPpm (registrations, miner, block, terms) {
  const registered = registrations.find(({ node }) => node === miner)
  const blocks = BigInt(block.number - terms.origin_block)
  const age = (registered) => BigInt(block.number - registered.block) * BigInt(block.time_ms - terms.origin_ms)
  const isOld = registered !== undefined && blocks > 0n && age(registered) >= BigInt(terms.newcomer_ms) * blocks
  return isOld ? terms.selected_ppm : terms.newcomer_ppm
}

// The first so many of the numbers below count: taken from all that are left, one after the other.
export function drawnNumbers (seed, count, wanted) {
  const left = Array.from({ length: count }, (_, number) => number)
  const order = []
  while (left.length > 0 && order.length < wanted) {
    const point = integer(keccak256(seed, uint(order.length, 32))) % BigInt(left.length)
    order.push(...left.splice(Number(point), 1))
  }
  return order
}

// The steps of the auditor in a place from 0.
export function drawnSteps (dice, steps, place) {
  const each = stepsEach(steps)
  const order = drawnNumbers(keccak256('steps', dice), steps, each * (place + 1))
  const mine = Array.from({ length: each }, (_, at) => order[(each * place + at) % steps])
  return [...new Set(mine)].toSorted((one, other) => one - other)
}

// work: { coordinator, miner, commitment (hex), steps }. Gives dice, part, and auditors with their steps.
export function drawAudit (miners, registrations, work, block, terms) {
  const dice = diceOf(Buffer.from(block.hash, 'hex'), Buffer.from(work.commitment, 'hex'))
  const ppm = selectedPpm(registrations, work.miner, block, terms)
  const ownerOf = (node) => registrations.find((entry) => entry.node === node)?.owner ?? node
  const parties = [ownerOf(work.miner), ownerOf(work.coordinator)]
  const drawn = selects(dice, ppm)
    ? ranking(miners, keccak256('auditors', dice)).slice(0, PLACES_MAX)
      .filter((address) => address !== work.miner && !parties.includes(ownerOf(address))).slice(0, AUDITORS)
    : []
  const auditors = drawn.map((auditor, place) => ({ auditor, steps: drawnSteps(dice, work.steps, place) }))
  return { dice: dice.toString('hex'), selected_ppm: ppm, is_selected: selects(dice, ppm), auditors }
}

// Places among the numbers of a step's tensor that are asked about, in the order in which they are drawn.
export function drawnPlaces (dice, auditor, step, tensor, count, wanted) {
  const order = drawnNumbers(keccak256(dice, auditor, uint(step, 16), uint(tensor, 8)), count, wanted)
  return Array.from({ length: wanted }, (_, at) => order[at % count])
}

export const packBins = (bins) => Buffer.from(bins.map((bin) => bin.toString(16)).join(''), 'hex')
