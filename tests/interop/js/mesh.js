// The js side of tests/bench/mesh.py: a mesh of js-libp2p nodes in this process, under the same load.
// Takes the load as JSON in its one argument, prints one JSON line for each phase.

import { createNode } from './node.js'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

const TOPIC = 'bench'
const QUIET_MS = 2_000
const DRAIN_MS = 10_000

const load = JSON.parse(process.argv[2])
const nodes = await Promise.all(Array.from({ length: load.nodes }, () => createNode({
  gossip: {
    D: load.d, Dlo: load.d_low, Dhi: load.d_high, heartbeatInterval: load.heartbeat_ms, floodPublish: true
  }
})))
const meshes = nodes.map((node) => node.services.pubsub)

let sent = new Map()
let latencies = []
let lastMs = 0

for (const mesh of meshes) {
  mesh.addEventListener('message', ({ detail: { data } }) => {
    const number = Buffer.from(data.buffer, data.byteOffset, 4).readUInt32BE()
    lastMs = performance.now()
    if (sent.has(number)) latencies.push(lastMs - sent.get(number))
  })
  mesh.subscribe(TOPIC)
}
// Not all at once: on a busy machine, handshakes would run out of their time.
for (const [index, node] of nodes.entries()) {
  await Promise.all(nodes.slice(index + 1).map((other) => node.dial(other.getMultiaddrs()[0])))
}
const peersWanted = load.nodes - 1
while (meshes.some((mesh) => mesh.getSubscribers(TOPIC).length < peersWanted)) await sleep(10)
await sleep(load.settle_ms)

let number = 0
for (const phase of load.phases) {
  sent = new Map()
  latencies = []
  const messages = Array.from({ length: phase.messages }, () => {
    const data = randomBytes(load.message_bytes)
    data.writeUInt32BE(number)
    return [number++, data]
  })
  const expected = phase.messages * peersWanted
  const cpu = process.cpuUsage()
  const started = performance.now()
  lastMs = started
  for (const [index, [id, data]] of messages.entries()) {
    if (phase.rate > 0) {
      const wait = started + index * 1000 / phase.rate - performance.now()
      if (wait > 0) await sleep(wait)
    }
    sent.set(id, performance.now())
    await meshes[index % meshes.length].publish(TOPIC, data)
  }
  const published = performance.now()
  lastMs = published
  while (latencies.length < expected && performance.now() - lastMs < QUIET_MS &&
         performance.now() - published < DRAIN_MS) await sleep(5)
  const { user, system } = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? null
  process.stdout.write(JSON.stringify({
    phase: phase.name,
    delivered: latencies.length,
    expected,
    cpu_ms: (user + system) / 1000,
    published_ms: published - started,
    taken_ms: lastMs - started,
    p50_ms: at(0.5),
    p99_ms: at(0.99)
  }) + '\n')
}
process.exit(0)
