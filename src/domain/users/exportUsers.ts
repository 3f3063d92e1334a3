import type { ExportedUser } from '../../db/statements/userTransfer.ts'
import { recordAlone } from '../audit/audited.ts'
import type { Deps } from '../deps.ts'

export type { ExportedUser }

/**
 * Exports every user with the password hash, all from one snapshot. Calls `take` with a page at a
 * time. Returns how many.
 */
export async function exportUsers(
  deps: Deps,
  by: string,
  take: (users: readonly ExportedUser[]) => Promise<void>,
): Promise<number> {
  // If it cannot be recorded, nothing is exported.
  await recordAlone(deps, { event: { event: 'users.export_started', by } })
  let exported = 0
  try {
    await deps.database.userTransfer.eachPage(async (users) => {
      exported += users.length
      await take(users)
    })
  } finally {
    // A partial export is recorded too.
    await recordAlone(deps, { event: { event: 'users.exported', by, exported } })
  }
  return exported
}
