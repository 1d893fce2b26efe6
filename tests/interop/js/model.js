// The rules under a model_id, first latents and steps of a scheduler; written from protocol/README.md alone.

import { halves, single, singles, toHalf } from './half.js'
import { proves, root, sha256 } from './merkle.js'

const MODEL_DOMAIN = Buffer.from('cuckoo/model/1\0')
const LATENT_DOMAIN = Buffer.from('cuckoo/latent/1\0')
const NUMBERS_MAX = 262_144
const GUIDANCE_NONE = 1000

export const modelId = (filesRoot, head, rowsRoot) => sha256(MODEL_DOMAIN, filesRoot, head, rowsRoot)
export const rowsRoot = root
const rowsOfSteps = (steps) => steps * (steps + 1) / 2

export function decodeHead (data) {
  const [format, numbers, layout, seed, guidance, scheduler] = data
  const [channels, factor, stepsMax] = [6, 8, 10].map((at) => data.readUInt16BE(at))
  if (data.length !== 12 || ![format, numbers, layout, seed, guidance].every((rule) => rule === 1)) throw new Error('rules')
  if (![1, 2].includes(scheduler) || !channels || !factor || stepsMax < 1 || stepsMax > 200) throw new Error('bounds')
  return { scheduler, channels, factor, stepsMax }
}

export function tensorNumbers ({ channels, factor }, width, height) {
  const numbers = channels * Math.floor(width / factor) * Math.floor(height / factor)
  return width % factor || height % factor || numbers < 1 || numbers > NUMBERS_MAX ? null : numbers
}

export const rowOf = (scheduleSteps, units, step) => rowsOfSteps(scheduleSteps) - units + step
export const provesRow = (rowsRoot, { stepsMax }, row, place, proof) => proves(rowsRoot, row, place, rowsOfSteps(stepsMax), proof)

const u64 = (number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(number))
  return bytes
}

// The first so many integers of a seed, 16 bits each: places in the table of quantiles.
export function integersOf (seed, count) {
  const places = []
  for (let block = 0; places.length < count; block++) {
    const digest = sha256(LATENT_DOMAIN, u64(seed), u64(block))
    for (let at = 0; at < 32 && places.length < count; at += 2) places.push(digest.readUInt16BE(at))
  }
  return places
}

// S: bits of the first latent; noise is the seed's quantiles.
export function firstLatent (row, noise, source) {
  if (source.length === 0) return noise.map(toHalf)
  const [p, q] = singles(row).slice(7, 9)
  return halves(source).map((z, at) => toHalf(single(single(p * z) + single(q * noise[at]))))
}

function guide ([, u, c], guidanceMilli) {
  const wanted = halves(c)
  if (guidanceMilli <= GUIDANCE_NONE) return wanted
  const scale = single(guidanceMilli / 1000)
  return halves(u).map((base, at) => single(base + single(scale * single(wanted[at] - base))))
}

// X: bits of the latent after a step. Each of opened and before: latent, output without and with the prompt.
export function nextLatent (row, opened, before, guidanceMilli) {
  const [, a, b, c, d, e, f] = singles(row)
  const [latent, output] = [halves(opened[0]), guide(opened, guidanceMilli)]
  if (before === null) return latent.map((x, at) => toHalf(single(single(e * x) + single(f * output[at]))))
  const [latentBefore, outputBefore] = [halves(before[0]), guide(before, guidanceMilli)]
  return latent.map((x, at) => {
    const own = single(single(a * x) + single(b * output[at]))
    return toHalf(single(single(own + single(c * latentBefore[at])) + single(d * outputBefore[at])))
  })
}

// Two numbers of a tensor are the same if their bits are, or both are zero, or neither is a number.
export const sameHalf = (one, other) => one === other || !((one | other) & 0x7fff) || [one, other].every((bits) => (bits & 0x7fff) > 0x7c00)
