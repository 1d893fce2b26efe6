// Direct streams over js-libp2p's, from protocol/README.md alone: framing, credit, the end.

import { createHash } from 'node:crypto'

const [DATA, END, ERROR, CREDIT, PART] = [0, 1, 2, 3, 4]
const HEADER_BYTES = 5
const PIECE_BYTES_MAX = 32_768
const PAYLOAD_BYTES_MAX = 1_048_576
const CREDIT_BYTES = 131_072
const DIRECTION = { bytes: 64 * 1_048_576, pieces: 65_536, credits: 65_536 }
const ERROR_TEXT_BYTES_MAX = 256

export class BrokenFraming extends Error {}

export class Aborted extends Error {
  constructor (code, text) {
    super(text)
    this.code = code
  }
}

function u64 (number) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(number))
  return bytes
}

// What END says of a direction.
class Tally {
  #hash = createHash('sha256')
  #payloads = 0
  #bytes = 0

  add (payload) {
    this.#hash.update(payload)
    this.#payloads += 1
    this.#bytes += payload.length
    if (this.#bytes > DIRECTION.bytes) throw new BrokenFraming('too much payload')
  }

  get body () {
    return Buffer.concat([u64(this.#payloads), u64(this.#bytes), this.#hash.copy().digest()])
  }
}

export class DirectStream {
  #stream
  #sent = { tally: new Tally(), bytes: 0, ended: false }
  #got = { tally: new Tally(), bytes: 0, pieces: 0, credits: 0, parts: [], size: 0, held: 0, ended: false }
  #allowed = CREDIT_BYTES
  #granted = CREDIT_BYTES
  #taken = 0
  #queue = []
  #failure
  #wakers = []
  #over

  constructor (stream) {
    this.#stream = stream
    this.#over = this.#read()
  }

  // The next payload, or null at the end. Raises Aborted after their ERROR, BrokenFraming where they broke the rules.
  async receive () {
    for (;;) {
      if (this.#queue.length > 0) {
        const { payload, cost } = this.#queue.shift()
        this.#take(cost)
        this.#takeHeld()
        return payload
      }
      if (this.#failure !== undefined) throw this.#failure
      if (this.#got.ended) return null
      await this.#change()
    }
  }

  async send (payload) {
    this.#sent.tally.add(payload)
    for (let start = 0; start < payload.length; start += PIECE_BYTES_MAX) {
      const piece = payload.subarray(start, start + PIECE_BYTES_MAX)
      const cost = HEADER_BYTES + piece.length
      while (this.#sent.bytes + cost > this.#allowed) {
        if (this.#failure !== undefined) throw this.#failure
        await this.#change()
      }
      this.#sent.bytes += cost
      await this.#frame(start + PIECE_BYTES_MAX < payload.length ? PART : DATA, piece)
    }
  }

  async error (code, text) {
    this.#sent.ended = true
    await this.#frame(ERROR, Buffer.concat([Buffer.of(code >> 8, code & 255), Buffer.from(text)]))
  }

  // Say that no more payloads come, if neither that nor ERROR was said. Receiving goes on.
  async end () {
    if (this.#sent.ended) return
    this.#sent.ended = true
    await this.#frame(END, this.#sent.tally.body)
  }

  // End, wait for their end, and close.
  async finish () {
    await this.end()
    while (!this.#got.ended && this.#failure === undefined) {
      if (this.#queue.length > 0) this.#take(this.#queue.shift().cost)
      await this.#change()
    }
    await this.#stream.close()
    await this.#over
  }

  reset () {
    this.#stream.abort(new Error('reset'))
  }

  async #frame (type, body) {
    const head = Buffer.alloc(HEADER_BYTES)
    head.writeUInt32BE(body.length + 1)
    head[4] = type
    if (!this.#stream.send(Buffer.concat([head, body]))) await this.#stream.onDrain()
  }

  // Bytes of PART and DATA frames that will not be held any longer.
  #take (bytes) {
    this.#taken += bytes
    if (this.#taken + CREDIT_BYTES - this.#granted < CREDIT_BYTES / 2 || this.#got.ended) return
    this.#granted = this.#taken + CREDIT_BYTES
    this.#frame(CREDIT, u64(this.#granted)).catch((error) => this.#fail(error))
  }

  #change () {
    return new Promise((resolve) => this.#wakers.push(resolve))
  }

  #wake () {
    this.#wakers.splice(0).forEach((wake) => wake())
  }

  #fail (error) {
    this.#failure ??= error
    this.#wake()
  }

  async #read () {
    let buffer = Buffer.alloc(0)
    try {
      for await (const chunk of this.#stream) {
        buffer = Buffer.concat([buffer, chunk.subarray()])
        while (buffer.length >= 4) {
          const length = buffer.readUInt32BE()
          if (length < 1 || length > PIECE_BYTES_MAX + 1) throw new BrokenFraming('a frame of an impossible length')
          if (buffer.length < 4 + length) break
          this.#frameCame(buffer[4], buffer.subarray(5, 4 + length))
          buffer = buffer.subarray(4 + length)
        }
      }
      if (!this.#got.ended && this.#failure === undefined) throw new BrokenFraming('the stream was cut')
    } catch (error) {
      if (error instanceof BrokenFraming) this.#stream.abort(error)
      this.#fail(error)
    }
    this.#wake()
  }

  #frameCame (type, body) {
    const got = this.#got
    if (this.#failure !== undefined || (got.ended && type !== CREDIT)) throw new BrokenFraming('a frame after the end')
    if (type === CREDIT) this.#credit(body)
    else if (type === DATA || type === PART) this.#piece(type, body)
    else if (type === END) {
      if (got.parts.length > 0 || !got.tally.body.equals(body)) throw new BrokenFraming('END disagrees with what came')
      got.ended = true
    } else if (type === ERROR && body.length >= 2 && body.length <= 2 + ERROR_TEXT_BYTES_MAX) {
      this.#fail(new Aborted(body.readUInt16BE(), body.subarray(2).toString()))
    } else throw new BrokenFraming('a frame of no form')
    this.#wake()
  }

  #credit (body) {
    this.#got.credits += 1
    const allowed = body.length === 8 ? Number(body.readBigUInt64BE()) : 0
    if (allowed <= this.#allowed || this.#got.credits > DIRECTION.credits) throw new BrokenFraming('a CREDIT of no use')
    this.#allowed = allowed
  }

  #piece (type, body) {
    const got = this.#got
    got.pieces += 1
    got.bytes += HEADER_BYTES + body.length
    if (body.length < 1 || got.pieces > DIRECTION.pieces) throw new BrokenFraming('a piece too many, or of nothing')
    if (got.bytes > this.#granted) throw new BrokenFraming('more than the credit')
    got.parts.push(Buffer.from(body))
    got.size += body.length
    if (got.size > PAYLOAD_BYTES_MAX) throw new BrokenFraming('a payload that is too large')
    got.held += HEADER_BYTES + body.length
    if (type === PART) {
      this.#takeHeld()
      return
    }
    const payload = Buffer.concat(got.parts)
    got.parts = []
    got.size = 0
    got.tally.add(payload)
    this.#queue.push({ payload, cost: got.held })
    got.held = 0
  }

  // A payload may be larger than the credit: of the one that comes first, parts are taken at once.
  #takeHeld () {
    if (this.#queue.length > 0) return
    this.#take(this.#got.held)
    this.#got.held = 0
  }
}
