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

export interface PresentedParty {
  readonly kind: string
  readonly id: string | null
  readonly username: string | null
  readonly address: string | null
  readonly user_agent: string | null
}

export function presentEvent(event: StoredEvent): PresentedEvent {
  const leaf = parseLeaf(event.leaf)
  return {
    index: event.index,
    time: event.time.toISOString(),
    type: event.type,
    outcome: event.outcome,
    by: presentParty(leaf?.by, event.by_private),
    about: leaf?.about ? presentParty(leaf.about, event.about_private) : null,
    session: leaf?.session ?? null,
    request: leaf?.request ?? null,
    facts: leaf?.facts ?? {},
  }
}

function presentParty(party: { readonly kind: string; readonly id?: string } | undefined, text: string | null) {
  const { username = null, address = null, agent = null } = readPersonal(text)
  return { kind: party?.kind ?? 'unknown', id: party?.id ?? null, username, address, user_agent: agent }
}

/** Returns nothing for a text that was erased or that someone has changed. */
function readPersonal(text: string | null): { username?: string; address?: string; agent?: string } {
  try {
    return text === null ? {} : JSON.parse(text)
  } catch {
    return {}
  }
}
