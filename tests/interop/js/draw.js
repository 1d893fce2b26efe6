// The draw, by the definition in protocol/README.md: intervals laid end to end, nothing clever.

import { keccak256, uint } from './statements.js'

export const taskSeed = (epochSeed, coordinator, number) => keccak256(epochSeed, coordinator, uint(number, 64))

// miners: [{ address (hex), weight (BigInt) }]. Gives all addresses in the order in which they are drawn.
export function ranking (miners, seed) {
  const left = miners.toSorted((one, other) => (one.address < other.address ? -1 : 1))
  const drawn = []
  while (left.length > 0) {
    const remaining = left.reduce((sum, miner) => sum + miner.weight, 0n)
    let point = BigInt('0x' + keccak256(seed, uint(drawn.length, 32)).toString('hex')) % remaining
    const index = left.findIndex((miner) => {
      if (point < miner.weight) return true
      point -= miner.weight
      return false
    })
    drawn.push(left[index].address)
    left.splice(index, 1)
  }
  return drawn
}

// The first wanted miners for which the reason to pass over is 0, and the others on the way: [[address, reason]].
export function rankForTask (miners, seed, reasonFor, wanted) {
  const places = []
  let assigned = 0
  for (const address of ranking(miners, seed)) {
    if (assigned === wanted || places.length === 64) break
    const reason = reasonFor(address)
    places.push([address, reason])
    if (reason === 0) assigned += 1
  }
  return places
}
