// Pay: what is owed at each step, and vouchers. From protocol/README.md alone.

import { encode } from './cbor.js'
import { domainSeparator, keccak256, uint } from './statements.js'

const NOTHING = Buffer.alloc(12)
const least = (a, b) => (a < b ? a : b)

// What is owed of a price, in wei, when so many of all steps were shown; all are BigInts.
export const due = (price, steps, step) => price * step / steps

export const slice = (steps) => (steps < 8n ? 1n : steps / 8n)

// The last step for which not more than was paid is owed, found by looking.
export function stepsPaid (price, steps, paid) {
  let step = steps
  while (due(price, steps, step) > paid) step--
  return step
}

export const stepLimit = (price, steps, paid) => least(steps, stepsPaid(price, steps, paid) + slice(steps))

export function voucherDigest (chainId, escrow, coordinator, miner, amount) {
  const struct = keccak256(
    keccak256('Voucher(address coordinator,address miner,uint256 cumulativeAmount)'),
    NOTHING, coordinator, NOTHING, miner, uint(amount, 256)
  )
  return keccak256('\x19\x01', domainSeparator(chainId, escrow, 'Cuckoo Escrow'), struct)
}

export const encodeVoucher = (task, cumulative, signature) => encode([uint(task, 96), uint(cumulative, 96), signature])
