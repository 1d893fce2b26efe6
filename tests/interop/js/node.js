// A js-libp2p node with the transport and the gossip that protocol/README.md asks for.
// Is: stock js-libp2p, configured; nothing of ours but the message id.
// Is not: aware of topics or statements.

import './polyfill.js'
import { gossipsub, StrictNoSign } from '@libp2p/gossipsub'
import { generateKeyPair, privateKeyFromRaw } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { createLibp2p } from 'libp2p'
import { createHash } from 'node:crypto'

// Every test peer shares one address, and dials as fast as it can.
const CONNECTIONS = { inboundConnectionThreshold: Infinity, maxIncomingPendingConnections: Infinity }

// protocol/README.md, Gossip: first 20 bytes of SHA-256(u64(length of the topic's name) ‖ name ‖ data).
export function messageId ({ topic, data }) {
  const name = Buffer.from(topic)
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(name.length))
  return createHash('sha256').update(length).update(name).update(data).digest().subarray(0, 20)
}

// secret: 32 bytes of a secp256k1 key, or undefined for a fresh one. relay: whether to relay for others.
// listen: addresses, those through relays among them.
export async function createNode ({ secret, gossip = {}, encrypters = [noise()], relay = false, listen = ['/ip4/127.0.0.1/tcp/0'] } = {}) {
  const privateKey = secret === undefined ? await generateKeyPair('secp256k1') : privateKeyFromRaw(secret)
  return await createLibp2p({
    privateKey,
    addresses: { listen },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: encrypters,
    streamMuxers: [yamux()],
    connectionManager: CONNECTIONS,
    services: {
      identify: identify(),
      ping: ping(),
      ...(relay ? { relay: circuitRelayServer() } : {}),
      pubsub: gossipsub({
        globalSignaturePolicy: StrictNoSign,
        msgIdFn: messageId,
        allowPublishToZeroTopicPeers: true,
        // Peers on one address are no attack here.
        scoreParams: { IPColocationFactorWeight: 0 },
        ...gossip
      })
    }
  })
}
