// The rules of the topic offers, by the table in protocol/README.md: a peer of another implementation, as a judge.

import { NotCanonical } from './cbor.js'
import { sha256 } from './merkle.js'
import { digestOf, domainSeparator, KINDS, read, recover } from './statements.js'

const OFFER = 1
const BYTES_MAX = 65_536
const LIFE_MS_MAX = 600_000n
const DISPARITY_MS = 500n

export class Judge {
  // view: as in tests/vectors/rules.
  constructor (view) {
    this.separator = domainSeparator(view.chain_id, Buffer.from(view.slashing_contract, 'hex'))
    this.messages = new Set()
    this.statements = new Map()
    this.newest = new Map()
    this.look(view)
  }

  look (view) {
    const latest = view.epochs.toSorted((one, other) => one.number - other.number).at(-1)
    this.miners = new Set((latest?.miners ?? []).map((miner) => miner.address))
  }

  // ['accept'], or ['ignore' | 'reject', reason].
  judge (data, nowMs) {
    const now = BigInt(nowMs)
    if (data.length > BYTES_MAX) return ['reject', 'message is too long']
    const hash = sha256(data).toString('hex')
    if (this.messages.has(hash)) return ['ignore', 'message was seen before']
    let statement
    try {
      statement = read(data)
      if (!(statement.kind in KINDS)) throw new NotCanonical('kind')
      if (statement.kind === OFFER) checkOffer(statement.fields)
    } catch (error) {
      if (error instanceof NotCanonical) return ['reject', 'message does not decode']
      throw error
    }
    if (statement.kind !== OFFER) return ['reject', 'message is of another topic']
    const [sequence, issuedAt, validUntil, capacity, models] = statement.fields
    if (issuedAt >= validUntil || validUntil > issuedAt + LIFE_MS_MAX) return ['reject', "offer's life is out of bounds"]
    const named = new Set(models.map(([modelId]) => modelId.toString('hex')))
    const ascends = models.every(([, works]) => works.every(([kind], place) => place === 0 || works[place - 1][0] < kind))
    if (capacity < 1n || named.size !== models.length || !ascends) return ['reject', 'offer contradicts itself']
    if (issuedAt > now + DISPARITY_MS) return ['ignore', 'offer is from the future']
    if (validUntil <= now) return ['ignore', 'offer has lapsed']
    const slot = KINDS[OFFER](statement.fields)
    let signer
    try {
      signer = recover(digestOf(this.separator, OFFER, slot, statement.body), statement.signature).toString('hex')
    } catch {
      return ['reject', 'signature is malformed']
    }
    if (!this.miners.has(signer)) return ['ignore', 'signer is not a miner of this epoch']
    const key = signer + slot.toString('hex')
    const said = this.statements.get(key)
    if (said !== undefined) {
      return ['ignore', said.equals(statement.body) ? 'statement was seen before' : 'signer has said something else in this slot']
    }
    if ((this.newest.get(signer) ?? -1n) > sequence) return ['ignore', 'a newer offer is known']
    this.messages.add(hash)
    this.statements.set(key, statement.body)
    this.newest.set(signer, sequence)
    return ['accept']
  }
}

const fits = (bits) => (value) => typeof value === 'bigint' && value < 1n << BigInt(bits)
const struct = (...types) => (value) => Array.isArray(value) && value.length === types.length &&
  types.every((type, index) => type(value[index]))
const bytes = (length) => (value) => value instanceof Uint8Array && value.length === length
const array = (least, most, type) => (value) => Array.isArray(value) && value.length >= least &&
  value.length <= most && value.every(type)
const isWorkOffer = struct(fits(16), array(1, 4, fits(64)), fits(32))
const isModelOffer = struct(bytes(32), array(1, 8, isWorkOffer))
const isOffer = struct(fits(64), fits(64), fits(64), fits(8), array(1, 32, isModelOffer))

function checkOffer (fields) {
  if (!isOffer(fields)) throw new NotCanonical('not an offer')
}
