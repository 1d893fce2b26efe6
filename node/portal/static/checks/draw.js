// The draw, by the definition in protocol/README.md: intervals laid end to end, nothing clever.

import { integer, keccak256, uint } from "./bytes.js";

const RANKING_MAX = 64;

/** The seed of a task's draw. @param {Uint8Array} epochSeed @param {Uint8Array} coordinator @param {number|bigint} number */
export const taskSeed = (epochSeed, coordinator, number) => keccak256(epochSeed, coordinator, uint(number, 64));

/**
 * Addresses in the order in which they are drawn, as many as are wanted.
 * @param {{address: string, weight: bigint}[]} miners - addresses in hexadecimal, of one form
 * @param {Uint8Array} seed
 */
export function ranking(miners, seed, wanted = miners.length) {
  const left = [...miners].sort((one, other) => (one.address < other.address ? -1 : 1));
  const drawn = [];
  let remaining = left.reduce((sum, miner) => sum + miner.weight, 0n);
  while (left.length > 0 && drawn.length < wanted) {
    let point = integer(keccak256(seed, uint(drawn.length, 32))) % remaining;
    const index = left.findIndex((miner) => {
      if (point < miner.weight) return true;
      point -= miner.weight;
      return false;
    });
    remaining -= left[index].weight;
    drawn.push(left[index].address);
    left.splice(index, 1);
  }
  return drawn;
}

/** The first wanted miners for which the reason to pass over is 0, and the others on the way: [[address, reason]]. */
export function rankForTask(miners, seed, reasonFor, wanted) {
  const places = [];
  let assigned = 0;
  for (const address of ranking(miners, seed, RANKING_MAX)) {
    if (assigned === wanted) break;
    const reason = reasonFor(address);
    places.push([address, reason]);
    if (reason === 0) assigned += 1;
  }
  return places;
}
