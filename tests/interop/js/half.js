// binary16 and binary32 (IEEE 754), to the nearest, ties to even. A number is a JavaScript number that fits exactly.

export const single = Math.fround

// Of 16 bits.
export function ofHalf (bits) {
  const [exponent, fraction] = [bits >> 10 & 31, bits & 1023]
  const size = exponent === 31
    ? (fraction ? NaN : Infinity)
    : exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24
  return bits >> 15 ? -size : size
}

// To 16 bits; from 65520 on to infinity.
export function toHalf (value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (Number.isNaN(value)) return 0x7e00
  if (size >= 65520) return sign | 0x7c00
  const exponent = size < 2 ** -14 ? -14 : Math.floor(Math.log2(size))
  // Math.log2 may be off by one beside a power of two.
  const exact = size >= 2 ** (exponent + 1) ? exponent + 1 : size >= 2 ** -14 && size < 2 ** exponent ? exponent - 1 : exponent
  const units = tiesToEven(size / 2 ** (exact - 10))
  // 1024 units more are the next exponent: the bits run on.
  return sign | (size < 2 ** -14 ? units : (exact + 14 << 10) + units)
}

function tiesToEven (value) {
  const below = Math.floor(value)
  const rest = value - below
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below
}

export function halves (data) {
  return Array.from({ length: data.length / 2 }, (_, at) => ofHalf(data.readUInt16LE(2 * at)))
}

export const singles = (data) => Array.from({ length: data.length / 4 }, (_, at) => data.readFloatBE(4 * at))
