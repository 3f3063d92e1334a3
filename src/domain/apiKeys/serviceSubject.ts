import type { Party } from '../audit/record.ts'

/** Returns the subject of a service's requests. No username contains a colon. */
export function subjectOf({ name }: { readonly name: string }): string {
  return `service:${name}`
}

/** Identifies an API key in the audit log, with the subject of its service as the name. */
export function serviceParty({ id, name }: { readonly id: string; readonly name: string }): Party {
  return { kind: 'api_key', id, username: subjectOf({ name }) }
}
