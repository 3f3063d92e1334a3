import type { Blocker, Session } from './blocker.ts'
import { rowBlockers } from './blockingRows.ts'
import { originalColumns, shapeBlockers } from './blockingShape.ts'
import type { Migration } from './bundled.ts'
import { dependentBlockers } from './dependents.ts'
import { nameBlockers } from './nameBlockers.ts'
import { privilegeBlockers } from './privileges.ts'
import { rowSecurityBlockers } from './schemaCheck.ts'
import { findUsersTable, type UsersTable } from './usersTable.ts'

export interface BlockerSearch {
  /** The `users` of another program. */
  readonly table: UsersTable | undefined
  readonly blockers: readonly Blocker[]
}

/**
 * Returns everything that keeps a database without our migrations from getting them. Changes
 * nothing. `lock` is called before the rows are read, once the role is known to own the table.
 */
export async function findBlockers(
  session: Session,
  migrations: readonly Migration[],
  lock: () => Promise<unknown> = async () => {},
): Promise<BlockerSearch> {
  const table = await findUsersTable(session)
  const blockers = [
    ...(await encodingBlockers(session)),
    ...(await privilegeBlockers(session, table)),
    ...(await nameBlockers(session, migrations)),
  ]
  if (!table) return { table, blockers }
  blockers.push(...shapeBlockers(table), ...(await rowSecurityBlockers(session, table.name)))
  if (table.isOwned) {
    blockers.push(...(await dependentBlockers(session, table)))
    if (blockers.length === 0) await lock()
  }
  if (table.isReadable && hasOriginalColumns(table)) blockers.push(...(await rowBlockers(session, table)))
  return { table, blockers }
}

function hasOriginalColumns({ columns }: UsersTable): boolean {
  return Object.keys(originalColumns).every((name) => columns.some((column) => column.name === name))
}

/** Other encodings cannot hold every name and user agent. */
async function encodingBlockers(session: Session): Promise<Blocker[]> {
  const [row] =
    await session`SELECT current_setting('server_encoding') AS encoding, quote_ident(current_database()) AS name`
  if (row?.encoding === 'UTF8') return []
  return [
    {
      problem: `the database has encoding ${row?.encoding}, but AuditTrail needs UTF8. Restore a dump of it into a database with that encoding`,
      sql: [`CREATE DATABASE new_${String(row?.name).replaceAll('"', '')} TEMPLATE template0 ENCODING 'UTF8';`],
    },
  ]
}
