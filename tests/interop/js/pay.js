// Pay: prices, what is owed at each unit, and vouchers. From protocol/README.md alone.

import { decode, encode } from './cbor.js'
import { domainSeparator, keccak256, uint } from './statements.js'

const NOTHING = Buffer.alloc(12)
const least = (a, b) => (a < b ? a : b)

const MICRO = 10n ** 12n

// Least price of an image's work, in micro-CAI, by the price of a pixel times a step in wei: [whole, upfront].
export function priceOfImage (work, priceWei) {
  const [, units, details] = decode(work)
  const [width, height] = decode(details)
  return [(priceWei * units * width * height + MICRO - 1n) / MICRO, 0n]
}

// What is owed in wei when so many of all units were shown; all are BigInts.
export const due = ({ price, upfront, units }, shown) =>
  shown === 0n ? 0n : upfront + (price - upfront) * shown / units

export const slice = (units) => (units < 8n ? 1n : units / 8n)

// How many units not more than what was paid is owed for, found by looking.
export function unitsPaid (schedule, paid) {
  let shown = schedule.units
  while (due(schedule, shown) > paid) shown--
  return shown
}

export const unitLimit = (schedule, paid) =>
  least(schedule.units, unitsPaid(schedule, paid) + slice(schedule.units))

// What a verdict on so many of a task's steps earns, in wei; all are BigInts.
export const auditFee = (price, steps, checked) => least(price, price * (checked + 2n) * 5n / (steps * 4n))

// A voucher as it goes to an auditor.
export const encodeAuditPay = (task, miner, voucher) => encode([task, miner, decode(voucher)])

export function voucherDigest (chainId, escrow, coordinator, miner, amount) {
  const struct = keccak256(
    keccak256('Voucher(address coordinator,address miner,uint256 cumulativeAmount)'),
    NOTHING, coordinator, NOTHING, miner, uint(amount, 256)
  )
  return keccak256('\x19\x01', domainSeparator(chainId, escrow, 'Cuckoo Escrow'), struct)
}

export const encodeVoucher = (task, cumulative, signature) => encode([uint(task, 96), uint(cumulative, 96), signature])
