// Reads verdicts and keeps the newest of each chat. Prints one JSON line per verdict and, on SIGTERM or Ctrl-C, an
// account. Arguments: bootstrap servers, topic (default: verdicts).
//
// The type Verdict is generated from the JSON Schema by `npm run build`.
import { CompressionCodecs, CompressionTypes, Kafka, KafkaJSNonRetriableError, logLevel } from 'kafkajs'
import { isLosslessNumber, parse, stringify } from 'lossless-json'
import { compressFrame, decompressFrame } from 'lz4-napi'
import type { Verdict } from './generated/verdict'

const SCHEMA_VERSIONS = [1, 2]
const INT64_FIELDS = new Set(['offset', 'timestamp_ms'])

// Verdicts are compressed with LZ4, for which kafkajs brings no codec: without one its first fetch fails.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder: { buffer: Buffer }) => compressFrame(encoder.buffer),
  decompress: (buffer: Buffer) => decompressFrame(buffer)
})

type Kind = 'new' | 'repeat' | 'older'

const newest = new Map<string, Verdict>()
const counts: Record<Kind, number> = { new: 0, repeat: 0, older: 0 }

/** Parses a verdict; JSON.parse would round offsets beyond 2^53. */
function decode(text: string): Verdict {
  const verdict = parse(text, (key, value) => {
    if (!isLosslessNumber(value)) return value
    return INT64_FIELDS.has(key) ? BigInt(value.value) : Number(value.value)
  }) as Verdict
  if (!SCHEMA_VERSIONS.includes(verdict.schema_version)) {
    // kafkajs reads a record again on any other error.
    throw new KafkaJSNonRetriableError(
      `found schema_version ${verdict.schema_version}, expected ${SCHEMA_VERSIONS.join(' or ')}; ` +
        'generate the types again from the newer schema'
    )
  }
  if (verdict.schema_version === 1) {
    // It knew one taxonomy and no overrides.
    verdict.taxonomy = { name: 'chat-13', version: '1' }
    verdict.override_revision = 0n
  }
  return verdict
}

/** Says whether a verdict is older than the one held for its chat, as schemas/README.md defines it. */
function isOlder(verdict: Verdict, held: Verdict): boolean {
  const [a, b] = [verdict.source, held.source]
  if (a.topic !== b.topic || a.partition !== b.partition) return a.timestamp_ms < b.timestamp_ms
  if (a.offset !== b.offset) return a.offset < b.offset
  // The same event: a person's decision stands above those before it.
  if (verdict.override_revision !== held.override_revision) return verdict.override_revision < held.override_revision
  // Judged again: versions compare under one name only.
  if (verdict.model.name !== held.model.name) return false
  const order = compareVersions(verdict.model.version, held.model.version)
  if (order !== 0) return order < 0
  return verdict.policy.name === held.policy.name && compareVersions(verdict.policy.version, held.policy.version) < 0
}

/** Compares dotted versions by their numbers: 1.10 is newer than 1.9, and 1.0 is 1. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(BigInt), b.split('.').map(BigInt)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [x, y] = [left[i] ?? 0n, right[i] ?? 0n]
    if (x !== y) return x < y ? -1 : 1
  }
  return 0
}

/** Holds the verdict unless it is older; says whether it is new, a repeat or older. */
function take(verdict: Verdict): Kind {
  const held = newest.get(verdict.chat_id)
  let kind: Kind = 'new'
  if (held && isOlder(verdict, held)) kind = 'older'
  else if (held && verdict.verdict_id === held.verdict_id) kind = 'repeat'
  counts[kind]++
  // A repeat asks for no action, but it moves the place that later verdicts are compared with.
  if (kind !== 'older') newest.set(verdict.chat_id, verdict)
  return kind
}

function account() {
  const byDecision: Record<string, number> = {}
  for (const held of newest.values()) byDecision[held.decision] = (byDecision[held.decision] ?? 0) + 1
  return {
    n_verdicts: counts.new + counts.repeat + counts.older,
    by_kind: counts,
    n_chats: newest.size,
    by_decision: byDecision
  }
}

async function run(bootstrapServers: string, topic: string): Promise<void> {
  const kafka = new Kafka({ brokers: bootstrapServers.split(','), logLevel: logLevel.ERROR })
  // kafkajs reads committed records only, unless told otherwise (readUncommitted).
  const consumer = kafka.consumer({ groupId: 'example-consumer-node', readUncommitted: false })
  // kafkajs logs a crash, and would leave the process standing without a reader.
  consumer.on(consumer.events.CRASH, () => process.exit(1))
  const stop = async () => {
    await consumer.disconnect()
    console.log(stringify(account()))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  await consumer.connect()
  // What is held lies in memory, so each start reads from the first record and nothing is committed.
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      const verdict = decode(message.value!.toString('utf8'))
      const kind = take(verdict)
      const { chat_id, decision, source, verdict_id } = verdict
      const taxonomy = verdict.taxonomy.name
      console.log(stringify({ kind, chat_id, offset: source.offset, taxonomy, decision, verdict_id }))
    }
  })
}

run(process.argv[2], process.argv[3] ?? 'verdicts').catch((error) => {
  console.error(error)
  process.exit(1)
})
