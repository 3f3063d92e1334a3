import type { Party } from './record.ts'

/** Identifies a user in the audit log. */
export function partyOf(
  user: { readonly id: string; readonly username: string; readonly full_name?: string },
  session?: string,
): Party {
  return { kind: 'user', id: user.id, username: user.username, full_name: user.full_name, session }
}
