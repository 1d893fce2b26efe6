// Replays tests/vectors with this implementation: node vectors.js FOLDER. Prints what was replayed, as JSON.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as cbor from './cbor.js'
import { drawAudit, drawnPlaces, packBins } from './audit.js'
import { rankForTask, ranking, taskSeed } from './draw.js'
import { judge as judgeEvidence } from './evidence.js'
import { proves, root, sha256 } from './merkle.js'
import { halves, singles } from './half.js'
import { decodeHead, firstLatent, integersOf, modelId, nextLatent, provesRow, rowOf, sameHalf, tensorNumbers } from './model.js'
import { Judge } from './offers.js'
import { auditFee, due, encodeAuditPay, encodeVoucher, priceOfImage, slice, unitLimit, unitsPaid, voucherDigest } from './pay.js'
import { addressOf, digestOf, domainSeparator, KINDS, open, seal, sign } from './statements.js'
import { leafOf, NO_TENSOR, openedLeaves, provesPiece, tensorHash } from './trace.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'

const folder = process.argv[2]
const load = (name) => JSON.parse(readFileSync(join(folder, name)))
const hex = (text) => Buffer.from(text, 'hex')

function valueOf (document) {
  if (Array.isArray(document)) return document.map(valueOf)
  if ('uint' in document) return BigInt(document.uint)
  return 'bytes' in document ? hex(document.bytes) : document.text
}

function replayCbor () {
  const { valid, invalid } = load('cbor.json')
  for (const { encoded, value } of valid) {
    assert.deepEqual(cbor.decode(hex(encoded)), valueOf(value))
    assert.equal(cbor.encode(valueOf(value)).toString('hex'), encoded)
  }
  for (const { encoded, why } of invalid) assert.throws(() => cbor.decode(hex(encoded)), cbor.NotCanonical, why)
  return valid.length + invalid.length
}

function replayStatements () {
  const vectors = load('statement.json')
  const separator = domainSeparator(vectors.chain_id, hex(vectors.slashing_contract))
  assert.equal(separator.toString('hex'), vectors.domain_separator)
  assert.equal(addressOf(secp256k1.getPublicKey(hex(vectors.secret))).toString('hex'), vectors.address)
  const known = vectors.statements.filter(({ kind }) => kind in KINDS)
  for (const vector of known) {
    const opened = open(separator, hex(vector.envelope))
    assert.equal(opened.slot.toString('hex'), vector.slot)
    assert.equal(opened.digest.toString('hex'), vector.digest)
    assert.equal(opened.signer.toString('hex'), vectors.address)
    assert.equal(digestOf(separator, vector.kind, hex(vector.slot), hex(vector.body)).toString('hex'), vector.digest)
    assert.equal(sign(opened.digest, hex(vectors.secret)).toString('hex'), vector.signature)
    assert.equal(seal(separator, vector.kind, opened.fields, hex(vectors.secret)).toString('hex'), vector.envelope)
  }
  const halves = [hex(vectors.task_input.public), hex(vectors.task_input.sealed)]
  assert.deepEqual(cbor.decode(hex(vectors.task_input.encoded)), halves.map(cbor.decode))
  assert.equal(root(halves).toString('hex'), vectors.task_input.commitment)
  return known.length
}

function replayDraw () {
  const vectors = load('draw.json')
  const miners = vectors.miners.map((miner) => ({ address: miner.address, weight: BigInt(miner.weight_micro_cai) }))
  const seedOf = (number) => taskSeed(hex(vectors.epoch_seed), hex(vectors.coordinator), number)
  for (const task of vectors.tasks) {
    assert.equal(seedOf(task.number).toString('hex'), task.seed)
    const drawn = ranking(miners, hex(task.seed))
    assert.deepEqual(drawn, task.ranking)
  }
  const passed = vectors.passed_over
  const reasonFor = (address) => passed.reasons[address] ?? 0
  const places = rankForTask(miners, seedOf(passed.number), reasonFor, passed.wanted)
  assert.deepEqual(places, passed.ranking.map((place) => [place.miner, Number(place.passed_over)]))
  return vectors.tasks.length + 1
}

function replayAudit () {
  const vectors = load('audit.json')
  const miners = vectors.miners.map((miner) => ({ address: miner.address, weight: BigInt(miner.weight_micro_cai) }))
  for (const { block, dice, selected_ppm: part, is_selected: isSelected, auditors, ...work } of vectors.draws) {
    const drawn = drawAudit(miners, vectors.registrations, work, block, vectors.audit_terms)
    assert.deepEqual(drawn, { dice, selected_ppm: part, is_selected: isSelected, auditors })
  }
  for (const vector of vectors.sketches) {
    const [dice, auditor, wanted] = [hex(vector.dice), hex(vector.auditor), vector.places.length]
    assert.deepEqual(drawnPlaces(dice, auditor, vector.step, vector.tensor, vector.numbers, wanted), vector.places)
    assert.equal(packBins(vector.bins).toString('hex'), vector.sketch)
  }
  return vectors.draws.length + vectors.sketches.length
}

function replayMerkle () {
  const trees = load('merkle.json')
  for (const tree of trees) {
    const leaves = tree.leaves.map(hex)
    assert.equal(root(leaves).toString('hex'), tree.root)
    for (const [index, proof] of tree.proofs.entries()) {
      assert(proves(hex(tree.root), leaves[index], index, leaves.length, proof.map(hex)))
      assert(!proves(hex(tree.root), leaves[index], index + 1, leaves.length, proof.map(hex)))
      assert(!proves(hex(tree.root), leaves[index], index, leaves.length, [...proof.map(hex), sha256('')]))
    }
  }
  return trees.length
}

function replayTensors () {
  const cases = load('tensor.json')
  for (const { data, hash, places } of cases) {
    assert.equal(tensorHash(hex(data)).toString('hex'), hash)
    const numbers = data.length / 4
    for (const { number, piece, proof } of places) {
      const siblings = proof.map(hex)
      assert(provesPiece(hex(hash), numbers, number, hex(piece), siblings))
      assert(!provesPiece(hex(hash), numbers + 1, number, hex(piece), siblings))
      assert(!provesPiece(hex(hash), numbers, number + 64, hex(piece), siblings))
    }
  }
  return cases.length
}

function replayTraces () {
  const cases = load('trace.json')
  for (const vector of cases) {
    const leaves = vector.tensors.map((tensors) => leafOf(tensors.map(hex)))
    assert.deepEqual(leaves.map((leaf) => leaf.toString('hex')), vector.leaves)
    assert.equal(root(leaves).toString('hex'), vector.steps_root)
    const [taskId, miner, modelId, imageHash] = ['task_id', 'miner', 'model_id', 'image_hash'].map((name) => hex(vector[name]))
    const opening = cbor.decode(hex(vector.opening))
    assert(opening[2].equals(tensorHash(hex(vector.final_latent))))
    assert(opening[3].equals(vector.source_latent ? tensorHash(hex(vector.source_latent)) : NO_TENSOR))
    const binding = { taskId, miner, modelId, imageHash }
    const opened = openedLeaves(binding, leaves.length, hex(vector.trace_root), opening)
    for (const [index, leaf] of opened) assert(leaf.equals(leaves[index]))
    assert.equal(openedLeaves({ ...binding, miner: taskId }, leaves.length, hex(vector.trace_root), opening), undefined)
  }
  return cases.length
}

function replayModels () {
  const { models, heads_refused: refused } = load('model.json')
  for (const model of models) {
    const [head, filesRoot, rowsRoot] = [model.head, model.files_root, model.rows_root].map(hex)
    assert.equal(root(model.files.map(hex)).toString('hex'), model.files_root)
    assert.equal(root(model.rows.map(hex)).toString('hex'), model.rows_root)
    assert.equal(modelId(filesRoot, head, rowsRoot).toString('hex'), model.model_id)
    const rules = decodeHead(head)
    for (const [place, row] of model.rows.entries()) {
      const proof = model.proofs[place].map(hex)
      assert(provesRow(rowsRoot, rules, hex(row), place, proof))
      assert(!provesRow(rowsRoot, rules, hex(row), place + 1, proof))
    }
    for (const { schedule_steps: schedule, units, step, row } of model.row_of) assert.equal(rowOf(schedule, units, step), row)
    for (const { width, height, numbers } of model.tensor_numbers) assert.equal(tensorNumbers(rules, width, height), numbers)
  }
  for (const head of refused) assert.throws(() => decodeHead(hex(head)))
  return models.length + refused.length
}

function replaySteps () {
  const vectors = load('step.json')
  for (const { leaf, entries, proof } of vectors.quantiles) assert(proves(hex(vectors.quantiles_root), hex(entries), leaf, 4096, proof.map(hex)))
  const same = (found, expected) => {
    const bits = hex(expected)
    for (const [at, number] of found.entries()) assert(sameHalf(number, bits.readUInt16LE(2 * at)), `number ${at}`)
    assert.equal(found.length, bits.length / 2)
  }
  for (const { seed, integers, noise, row, source, latent } of vectors.starts) {
    assert.deepEqual(integersOf(seed, halves(hex(latent)).length), integers)
    same(firstLatent(hex(row), singles(hex(noise)), hex(source)), latent)
  }
  for (const { row, guidance_milli: guidance, opened, before, next } of vectors.steps) {
    same(nextLatent(hex(row), opened.map(hex), before?.map(hex) ?? null, guidance), next)
  }
  return vectors.starts.length + vectors.steps.length
}

function replayEvidence () {
  const { view, pieces } = load('evidence.json')
  const separator = domainSeparator(view.chain_id, hex(view.slashing_contract))
  const known = pieces.filter(({ finding }) => finding !== null)
  for (const { encoded, document, finding } of known) {
    const data = hex(encoded)
    const offence = judgeEvidence(separator, data)
    assert.equal(`0x${offence.signer.toString('hex')}`, document.signer)
    assert.equal(`0x${offence.slot.toString('hex')}`, document.slot)
    assert.deepEqual(offence.finding, finding)
    // Whichever byte is another, nothing is proved against this signer; every 31st is tried.
    for (let at = 0; at < data.length; at += 31) {
      const other = Buffer.from(data)
      other[at] ^= 1
      let found
      try { found = judgeEvidence(separator, other) } catch { continue }
      assert(!found.signer.equals(offence.signer) || found.finding.number !== finding.number, `byte ${at}`)
    }
  }
  return known.length
}

function replayPay () {
  const vectors = load('pay.json')
  for (const vector of vectors.schedules) {
    const schedule = { price: BigInt(vector.price_wei), upfront: BigInt(vector.upfront_wei), units: BigInt(vector.units) }
    assert.equal(slice(schedule.units), BigInt(vector.slice_units))
    for (const [shown, wei] of vector.due_wei.entries()) assert.equal(due(schedule, BigInt(shown)), BigInt(wei))
    for (const { paid_wei: paid, units_paid: shown, unit_limit: limit } of vector.paid) {
      assert.equal(unitsPaid(schedule, BigInt(paid)), BigInt(shown))
      assert.equal(unitLimit(schedule, BigInt(paid)), BigInt(limit))
    }
  }
  for (const vector of vectors.audits) {
    const fee = auditFee(BigInt(vector.price_wei), BigInt(vector.steps), BigInt(vector.checked))
    assert.equal(fee, BigInt(vector.fee_wei))
  }
  for (const vector of vectors.prices) {
    const expected = [BigInt(vector.whole_micro_cai), BigInt(vector.upfront_micro_cai)]
    assert.deepEqual(priceOfImage(hex(vector.work), BigInt(vector.price_wei)), expected)
  }
  const [escrow, coordinator, miner, secret] = ['escrow_contract', 'coordinator', 'miner', 'secret'].map((name) => hex(vectors[name]))
  for (const vector of vectors.vouchers) {
    const digest = voucherDigest(vectors.chain_id, escrow, coordinator, miner, vector.cumulative_wei)
    assert.equal(digest.toString('hex'), vector.digest)
    const signature = sign(digest, secret)
    assert.equal(signature.toString('hex'), vector.signature)
    assert.equal(encodeVoucher(vector.task_wei, vector.cumulative_wei, signature).toString('hex'), vector.encoded)
  }
  const last = hex(vectors.vouchers.at(-1).encoded)
  assert.equal(encodeAuditPay(hex(vectors.audit_pay.task_id), miner, last).toString('hex'), vectors.audit_pay.encoded)
  return vectors.audits.length + vectors.prices.length + vectors.schedules.length + vectors.vouchers.length
}

function replayOffers () {
  const cases = load('rules/offers.json')
  const dataOf = ({ data, padded_to: length = 0 }) => Buffer.concat([hex(data), Buffer.alloc(Math.max(0, length - data.length / 2))])
  for (const vector of cases) {
    const judge = new Judge(vector.view)
    for (const before of vector.before) assert.deepEqual(judge.judge(dataOf(before), before.now_ms), ['accept'], vector.name)
    if (vector.later_view) judge.look(vector.later_view)
    const expected = vector.expected === 'accept' ? ['accept'] : [vector.expected, vector.reason]
    assert.deepEqual(judge.judge(dataOf(vector.message), vector.message.now_ms), expected, vector.name)
  }
  return cases.length
}

process.stdout.write(JSON.stringify({
  cbor: replayCbor(),
  statements: replayStatements(),
  draw: replayDraw(),
  audit: replayAudit(),
  merkle: replayMerkle(),
  tensors: replayTensors(),
  traces: replayTraces(),
  models: replayModels(),
  steps: replaySteps(),
  evidence: replayEvidence(),
  pay: replayPay(),
  offers: replayOffers()
}) + '\n')
