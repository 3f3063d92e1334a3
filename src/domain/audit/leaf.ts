import { randomBytes } from 'node:crypto'
import type { Numbers } from './numbers.ts'
import { type AuditRecord, factsOf, outcomeOf, type Party, type Source, typeOf } from './record.ts'

/** A leaf of the audit log with the personal data that it commits to. */
export interface Leaf {
  readonly leaf: string
  readonly byPrivate: string | null
  readonly aboutPrivate: string | null
}

const maxLeafBytes = 8192
const maxAgentLength = 256

/** Builds the leaf of a record. It is stored as it is, and never parsed to be written again. */
export function buildLeaf(
  { event, by, about, session, account, state }: AuditRecord,
  source: Source,
  process: string,
  { n, done, lost, unsure }: Numbers,
  time: Date,
): Leaf {
  const actor = by ?? source.by ?? { kind: 'system' }
  const { request, address, agent } = source
  const byPrivate = privateText({
    username: actor.username,
    full_name: actor.full_name,
    address,
    agent: agent?.slice(0, maxAgentLength).toWellFormed(),
    account,
  })
  // What concerns the actor is told once.
  const isSelf = about?.id !== undefined && about.id === actor.id && about.username === actor.username
  const aboutPrivate = about && !isSelf ? privateText({ username: about.username, full_name: about.full_name }) : null
  const members = {
    v: 1,
    p: process,
    n,
    done,
    ...(lost === '' ? {} : { lost }),
    ...(unsure === '' ? {} : { unsure }),
    time: time.toISOString(),
    type: typeOf(event),
    by: partyOf(actor, byPrivate),
    ...(about ? { about: partyOf(about, aboutPrivate) } : {}),
    session: session ?? ('session' in event ? event.session : undefined) ?? actor.session,
    request,
    outcome: outcomeOf(event),
    state,
  }
  const whole = JSON.stringify({ ...members, facts: factsOf(event) })
  const leaf = Buffer.byteLength(whole) <= maxLeafBytes ? whole : JSON.stringify({ ...members, facts: {}, cut: true })
  return { leaf, byPrivate, aboutPrivate }
}

function partyOf({ kind, id }: Party, text: string | null) {
  return { kind, id, private: text === null ? undefined : commitmentOf(text) }
}

/** Returns personal data with a salt, without which its hash would tell it. Null without any. */
function privateText(data: Readonly<Record<string, string | undefined>>): string | null {
  if (Object.values(data).every((value) => value === undefined)) return null
  return JSON.stringify({ salt: randomBytes(16).toString('base64'), ...data })
}

export function commitmentOf(text: string): string {
  return Bun.SHA256.hash(text, 'base64')
}

/** What is read back from a leaf. */
export interface ParsedLeaf {
  readonly p: string
  readonly n: number
  readonly done: number
  readonly lost?: string
  readonly unsure?: string
  readonly time: string
  readonly type: string
  readonly by: ParsedParty
  readonly about?: ParsedParty
  readonly session?: string
  readonly request?: string
  readonly outcome: string
  readonly state?: Readonly<Record<string, unknown>>
  readonly facts: Readonly<Record<string, unknown>>
}

interface ParsedParty {
  readonly kind: Party['kind']
  readonly id?: string
  readonly private?: string
}

/** Returns undefined for a text that no version of this service wrote. */
export function parseLeaf(leaf: string): ParsedLeaf | undefined {
  try {
    const parsed: unknown = JSON.parse(leaf)
    return isLeaf(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function isLeaf(value: unknown): value is ParsedLeaf {
  if (!isRecord(value) || value.v !== 1) return false
  const { p, n, done, lost, unsure, time, type, by, about, session, request, outcome, state, facts } = value
  return (
    isText(p) &&
    isText(type) &&
    isText(outcome) &&
    isOptionalText(session) &&
    isOptionalText(request) &&
    isNumber(n) &&
    isNumber(done) &&
    done < n &&
    (lost === undefined || areRangesBelow(n, lost)) &&
    (unsure === undefined || areRangesBelow(n, unsure)) &&
    isText(time) &&
    !Number.isNaN(Date.parse(time)) &&
    isParty(by) &&
    (about === undefined || isParty(about)) &&
    (state === undefined || isRecord(state)) &&
    isRecord(facts)
  )
}

function isParty(value: unknown): boolean {
  return isRecord(value) && isText(value.kind) && isOptionalText(value.id) && isOptionalText(value.private)
}

function areRangesBelow(n: number, ranges: unknown): boolean {
  if (!isText(ranges) || !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(ranges)) return false
  return ranges.split(',').every((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return first >= 1 && first <= last && last < n
  })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || isText(value)
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
