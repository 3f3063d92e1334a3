import type { StoredEvent } from '../../db/audit/reading.ts'
import { parseLeaf } from './leaf.ts'

/** A record of the audit log as the API and the command line return it. */
export interface PresentedEvent {
  readonly index: number
  readonly time: string
  readonly type: string
  readonly outcome: string
  readonly by: PresentedParty
  readonly about: PresentedParty | null
  readonly session: string | null
  readonly request: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

/** The personal data of a party are null if there are none, or if they were erased. */
export interface PresentedParty {
  readonly kind: string
  readonly id: string | null
  readonly username: string | null
  readonly full_name: string | null
  readonly address: string | null
  readonly user_agent: string | null
  /** Whether there were personal data, and they were erased. */
  readonly erased: boolean
}

type StoredText = 'index' | 'leaf' | 'time' | 'type' | 'outcome' | 'by_private' | 'about_private'

/** Anything may be stored there: someone may have changed it. */
export function presentEvent(event: Pick<StoredEvent, StoredText>): PresentedEvent {
  const leaf = parseLeaf(event.leaf)
  const by = presentParty(leaf?.by, event.by_private)
  const about = leaf?.about ? presentParty(leaf.about, event.about_private) : null
  // The names of an actor whom the event concerns are told once.
  const isSelf = about !== null && about.id !== null && about.id === by.id && leaf?.about?.private === undefined
  return {
    index: event.index,
    time: timeOf(event.time, leaf?.time),
    type: event.type,
    outcome: event.outcome,
    by,
    about: isSelf ? { ...about, username: by.username, full_name: by.full_name, erased: by.erased } : about,
    session: textOf(leaf?.session),
    request: textOf(leaf?.request),
    facts: { ...recordOf(leaf?.facts), ...accountOf(event.by_private) },
  }
}

/** Returns the first time with a year of four digits. */
function timeOf(...times: readonly (Date | string | undefined)[]): string {
  const moments = [...times, 0]
    .map((time) => new Date(time ?? Number.NaN))
    .filter((time) => !Number.isNaN(time.getTime()))
  return moments.map((time) => time.toISOString()).find((text) => /^\d/.test(text)) ?? ''
}

function presentParty(party: unknown, text: string | null): PresentedParty {
  const { kind, id, private: commitment } = recordOf(party)
  const { username, full_name, address, agent } = readPersonal(text)
  return {
    kind: textOf(kind) ?? 'unknown',
    id: textOf(id),
    username: textOf(username),
    full_name: textOf(full_name),
    address: textOf(address),
    user_agent: textOf(agent),
    erased: text === null && textOf(commitment) !== null,
  }
}

export function readPersonal(text: string | null): Readonly<Record<string, unknown>> {
  try {
    return text === null ? {} : recordOf(JSON.parse(text))
  } catch {
    return {}
  }
}

/** The MAC of the username that a stranger entered. */
function accountOf(text: string | null): { readonly account?: string } {
  const account = textOf(readPersonal(text).account)
  return account === null ? {} : { account }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
