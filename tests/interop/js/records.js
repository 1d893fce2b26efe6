// A peer record of somebody else, read; and one of our own, sealed. node records.js ENVELOPE SECRET (both hex)
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'

const [envelopeHex, secretHex] = process.argv.slice(2)
const opened = await RecordEnvelope.openAndCertify(Buffer.from(envelopeHex, 'hex'), PeerRecord.DOMAIN)
const read = PeerRecord.createFromProtobuf(opened.payload)

const key = privateKeyFromRaw(Buffer.from(secretHex, 'hex'))
const own = new PeerRecord({
  peerId: peerIdFromPrivateKey(key),
  multiaddrs: [multiaddr('/ip4/8.8.8.8/tcp/4001'), multiaddr('/dns4/example.org/tcp/443/wss')],
  seqNumber: 12n
})
const sealed = await RecordEnvelope.seal(own, key)
console.log(JSON.stringify({
  peer: read.peerId.toString(),
  sequence: Number(read.seqNumber),
  addresses: read.multiaddrs.map(String),
  sealed: Buffer.from(sealed.marshal()).toString('hex')
}))
