import type { ExportedUser } from '../../db/statements/userTransfer.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'

export type { ExportedUser }

/** Hands out every user with the password's hash, as all were at one moment; `take` gets a page at a time. Answers how many. */
export async function exportUsers(
  deps: Deps,
  by: string,
  take: (users: readonly ExportedUser[]) => Promise<void>,
): Promise<number> {
  let exported = 0
  try {
    await deps.database.userTransfer.eachPage(async (users) => {
      exported += users.length
      await take(users)
    })
  } finally {
    // Half an export has left the house too.
    record(deps, { event: 'users.exported', by, exported })
  }
  return exported
}
