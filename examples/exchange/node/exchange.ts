/**
 * Turns verdicts into what the ad exchange is told: OpenRTB 2.6, Prebid's first-party data or key-values.
 *
 * Arguments: FORM TAXONOMY SEGTAX [POLICY]; verdicts on standard input, one line out for each line in. FORM is openrtb,
 * prebid or key-values. TAXONOMY is the output of `python -m schemas taxonomy show NAME --json`. SEGTAX is the number
 * that is registered for the segments. `bid` is false where no bid request is sent.
 *
 * The type Verdict is generated from the JSON Schema by `npm run build`.
 */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Verdict } from './generated/verdict'

type Marker = { chat_id: string; rejected: string | null }
type Taxonomy = { name: string; version: string; categories: { code: string; iab_content: string[] }[] }
type Signal = {
  decision: 'allow' | 'review' | 'block' | 'unevaluated' | 'unknown'
  risk: string
  id?: string
  policy?: string
  category?: string
  categoryName?: string
  iab: string[]
  taxonomy?: string
  model?: string
  language?: string
  eventTime?: string
  verdictId?: string
  unevaluated: string[]
}

const CATTAX = 7
const PROVIDER = 'verdictstream'
const ID_KEY = 'verdictstream'
const SPECIAL = new Set(['186', '187', '286', '301', '383', '453'])
const BANDS: [number, string][] = [[0.01, 'very_low'], [0.05, 'low'], [0.2, 'medium']]

/** Says of a chat what its newest verdict or marker says, or null where there is neither. */
function signalOf(outcome: Verdict | Marker | null, policy: string | undefined, taxonomy: Taxonomy): Signal {
  const nothing = { risk: 'unknown', iab: [], unevaluated: [] }
  if (outcome === null) return { ...nothing, decision: 'unknown' }
  const id = createHmac('sha256', ID_KEY).update(outcome.chat_id, 'utf8').digest('hex').slice(0, 32)
  if ('rejected' in outcome) return { ...nothing, decision: 'unknown', id }
  const verdict = outcome as Verdict
  if (verdict.schema_version !== 1 && verdict.schema_version !== 2) {
    throw new Error(`found schema_version ${verdict.schema_version}, expected 1 or 2`)
  }
  const defaults = verdict.policy
  const name = policy ?? defaults.name
  // Version 1 has one policy and one taxonomy.
  const decisions = verdict.decisions ?? {
    [defaults.name]: { version: defaults.version, decision: verdict.decision, decided_by: 'model' }
  }
  const decided = Object.hasOwn(decisions, name) ? decisions[name] : undefined
  if (!decided) return { ...nothing, decision: 'unknown', id }
  if (decided.decision === 'block') return { ...nothing, decision: 'block', id }
  const of = verdict.taxonomy ?? { name: 'chat-13', version: '1' }
  const unevaluated = verdict.unevaluated ?? []
  const isKnown = of.name === taxonomy.name && of.version === taxonomy.version
  const category = taxonomy.categories.find(({ code }) => isKnown && code === verdict.category.code)
  let risk = 'unknown'
  if (name === defaults.name && unevaluated.length === 0) {
    risk = BANDS.find(([most]) => verdict.banned_to_safe_risk <= most)?.[1] ?? 'high'
  }
  const isHeldBack = decided.decision === 'review' && decided.decided_by === 'unevaluated'
  return {
    decision: isHeldBack ? 'unevaluated' : decided.decision,
    risk,
    id,
    policy: `${name}@${decided.version}`,
    category: verdict.category.code,
    categoryName: verdict.category.name,
    iab: category?.iab_content ?? [],
    taxonomy: `${of.name}@${of.version}`,
    model: `${verdict.model.name}@${verdict.model.version}`,
    language: verdict.language ?? undefined,
    eventTime: eventTime(verdict.source.timestamp_ms),
    verdictId: verdict.verdict_id,
    unevaluated
  }
}

/** Returns a record's time; nothing for one that can be no time in milliseconds. */
function eventTime(timestampMs: number): string | undefined {
  return timestampMs >= 1293840000000 && timestampMs < 4102444800000 ? new Date(timestampMs).toISOString() : undefined
}

/** Says whether an id is special category data, which is never sent with a user's id. */
const isSensitive = (signal: Signal) => signal.iab.some((id) => SPECIAL.has(id))

/** Returns a signal in a form; null where no bid request is sent. */
function document(signal: Signal, form: string, segtax: number): object | null {
  // A browser and an ad server add user ids by themselves.
  const unnamed = isSensitive(signal) ? { ...signal, category: undefined, iab: [] } : signal
  if (form === 'key-values') return keyValues(unnamed)
  if (signal.decision === 'block') return null
  if (form === 'prebid') {
    const content = { ...identity(signal), ...data(unnamed, segtax) }
    return { ortb2: { site: { ...categories(unnamed), content, ext: { data: keyValues(unnamed) } } } }
  }
  const extension = {
    decision: signal.decision,
    risk: signal.risk,
    policy: signal.policy,
    taxonomy: signal.taxonomy,
    model: signal.model,
    event_time: signal.eventTime,
    verdict_id: signal.verdictId,
    ...(signal.unevaluated.length > 0 ? { unevaluated: signal.unevaluated } : {}),
    ...(isSensitive(signal) ? { sensitive: true } : {})
  }
  const content = {
    ...identity(signal),
    context: 4,
    cattax: CATTAX,
    cat: [...signal.iab, '1012'],
    ...data(signal, segtax),
    ext: { verdictstream: extension }
  }
  return { site: { ...categories(signal), content } }
}

/** Returns an ad server's key-values: keys of at most 20 characters, values of at most 40. */
function keyValues(signal: Signal): Record<string, string> {
  if (signal.decision === 'block' || signal.decision === 'unknown') return { vs_decision: signal.decision }
  const values: Record<string, string> = { vs_decision: signal.decision, vs_risk: signal.risk }
  if (signal.category && signal.category.length <= 40) values.vs_category = signal.category
  return values
}

/** Returns what a site has of them: ids of Content Taxonomy 3.0, by its number. */
function categories({ iab }: Signal): object {
  return { cattax: CATTAX, ...(iab.length > 0 ? { cat: iab, pagecat: iab } : {}) }
}

/** Returns id and language; `language` takes two letters, `langb` any tag. */
function identity({ id, language }: Signal): object {
  return { ...(id ? { id } : {}), ...(language ? { [language.length === 2 ? 'language' : 'langb']: language } : {}) }
}

/** Returns the segments under the registered number. */
function data({ category, categoryName, decision, risk }: Signal, segtax: number): object {
  const named = category ? [{ id: category, name: categoryName }] : []
  const segment = [...named, { id: `decision:${decision}` }, { id: `risk:${risk}` }]
  return { data: [{ name: PROVIDER, segment, ext: { segtax } }] }
}

const [form, taxonomyFile, segtax, policy] = process.argv.slice(2)
const taxonomy: Taxonomy = JSON.parse(readFileSync(taxonomyFile, 'utf8'))
createInterface({ input: process.stdin }).on('line', (line) => {
  const signal = signalOf(JSON.parse(line), policy, taxonomy)
  const { id = null, decision } = signal
  console.log(JSON.stringify({ id, decision, bid: decision !== 'block', document: document(signal, form, Number(segtax)) }))
})
