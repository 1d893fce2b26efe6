// A peer of another implementation, in a process of its own: commands as JSON lines on standard input, one answer
// each on standard output, { id, result } or { id, error }. It lives until its input ends.
// Bytes are in hexadecimal. tests/interop/peer.py is the other end.

import { createNode } from './node.js'
import { plaintext } from '@libp2p/plaintext'
import { multiaddr } from '@multiformats/multiaddr'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Aborted, DirectStream } from './frames.js'
import { Judge } from './offers.js'
import { addressOf, domainSeparator, open, seal } from './statements.js'

const ECHO = '/cuckoo/interop-echo/1'
// js-libp2p keeps protocols off connections that a relay limits, unless they say so.
const ON_CIRCUITS = { runOnLimitedConnection: true }
const hex = (text) => Buffer.from(text, 'hex')

let node
let pubsub
const received = new Map()

const commands = {
  async start ({ secret, gossip, plain = false, relay, listen }) {
    node = await createNode({ secret: hex(secret), gossip, relay, listen, ...(plain ? { encrypters: [plaintext()] } : {}) })
    pubsub = node.services.pubsub
    pubsub.addEventListener('message', ({ detail: { topic, data } }) => {
      received.get(topic)?.push(Buffer.from(data).toString('hex'))
    })
    await node.handle(ECHO, echo, ON_CIRCUITS)
    return {
      peer_id: node.peerId.toString(),
      address: addressOf(node.peerId.publicKey.raw).toString('hex'),
      multiaddr: node.getMultiaddrs()[0]?.toString()
    }
  },

  async connect ({ multiaddr: address }) {
    const connection = await node.dial(multiaddr(address))
    return { peer_id: connection.remotePeer.toString(), address: addressOf(connection.remotePeer.publicKey.raw).toString('hex') }
  },

  async addresses () {
    return node.getMultiaddrs().map(String)
  },

  // Of each connection: whose it is, and whether a relay limits it.
  async connections () {
    return node.getConnections().map((connection) => ({ peer_id: connection.remotePeer.toString(), limited: connection.limits !== undefined }))
  },

  // view: judge what comes by the rules of offers, as at now_ms. delay_ms: accept all, after so long.
  async subscribe ({ topic, view, now_ms: nowMs, delay_ms: delayMs }) {
    received.set(topic, [])
    if (view !== undefined) {
      const judge = new Judge(view)
      pubsub.topicValidators.set(topic, (from, { data }) => judge.judge(data, nowMs)[0])
    } else if (delayMs !== undefined) {
      pubsub.topicValidators.set(topic, () => sleep(delayMs, 'accept'))
    }
    pubsub.subscribe(topic)
  },

  async unsubscribe ({ topic }) {
    pubsub.unsubscribe(topic)
  },

  async publish ({ topic, data }) {
    return (await pubsub.publish(topic, hex(data))).recipients.map(String)
  },

  async received ({ topic }) {
    return received.get(topic)
  },

  async state ({ topic }) {
    return {
      mesh: pubsub.getMeshPeers(topic),
      subscribers: pubsub.getSubscribers(topic).map(String),
      scores: Object.fromEntries([...pubsub.peers.keys()].map((id) => [id, pubsub.score.score(id)])),
      protocols: Object.fromEntries([...pubsub.streamsOutbound].map(([id, stream]) => [id, stream.protocol])),
      unwanted: Object.fromEntries([...pubsub.idontwants].map(([id, ids]) => [id, ids.size]))
    }
  },

  async ping ({ multiaddr: address }) {
    return await node.services.ping.ping(multiaddr(address))
  },

  // What identify has told of the peer that we are connected to.
  async identified ({ peer_id: peerId }) {
    const peer = node.getPeers().find((id) => id.toString() === peerId)
    const { protocols, metadata } = await node.peerStore.get(peer)
    return { protocols, agent: Buffer.from(metadata.get('AgentVersion') ?? []).toString() }
  },

  // One exchange on a direct stream: payloads, then END ("end"), ERROR ("error") or a reset ("reset").
  async call ({ multiaddr: address, protocol, payloads, ending = 'end' }) {
    const stream = new DirectStream(await node.dialProtocol(multiaddr(address), protocol, ON_CIRCUITS))
    const answer = collect(stream)
    for (const payload of payloads) await stream.send(hex(payload))
    if (ending === 'end') await stream.end()
    if (ending === 'error') await stream.error(4, 'changed my mind')
    if (ending === 'reset') stream.reset()
    const result = await answer
    if (ending !== 'reset') await stream.finish()
    return result
  },

  async seal ({ chain_id: chainId, slashing_contract: contract, kind, fields, secret }) {
    return seal(domainSeparator(chainId, hex(contract)), kind, valueOf(fields), hex(secret)).toString('hex')
  },

  async open ({ chain_id: chainId, slashing_contract: contract, envelope }) {
    const { kind, slot, digest, signer } = open(domainSeparator(chainId, hex(contract)), hex(envelope))
    return { kind, slot: slot.toString('hex'), digest: digest.toString('hex'), signer: signer.toString('hex') }
  }
}

// Values in the notation of tests/vectors/cbor.json.
function valueOf (document) {
  if (Array.isArray(document)) return document.map(valueOf)
  if ('uint' in document) return BigInt(document.uint)
  return 'bytes' in document ? hex(document.bytes) : document.text
}

async function collect (stream) {
  const payloads = []
  try {
    for (let payload; (payload = await stream.receive()) !== null;) payloads.push(payload.toString('hex'))
    return { payloads, ending: 'end' }
  } catch (error) {
    const { message, code } = error
    return error instanceof Aborted ? { payloads, ending: 'error', error: { code, text: message } } : { payloads, ending: message }
  }
}

async function echo (rawStream) {
  const stream = new DirectStream(rawStream)
  try {
    for (let payload; (payload = await stream.receive()) !== null;) await stream.send(payload)
    await stream.finish()
  } catch {
    stream.reset()
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, name, ...rest } = JSON.parse(line)
  commands[name](rest).then(
    (result = null) => ({ id, result }),
    (error) => ({ id, error: `${error.name}: ${error.message}` })
  ).then((answer) => process.stdout.write(JSON.stringify(answer) + '\n'))
}
process.exit(0)
