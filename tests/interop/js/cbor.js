// Canonical CBOR: the portal's own, with byte strings as Buffers.

import { decode as decodeBytes, encode as encodeBytes, NotCanonical } from '../../../node/portal/static/checks/cbor.js'

export { NotCanonical }

export const encode = (value) => Buffer.from(encodeBytes(value))
export const decode = (bytes) => decodeBytes(Buffer.from(bytes))
