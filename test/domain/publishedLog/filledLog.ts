import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import type { Deps } from '../../../src/domain/deps.ts'
import type { TestApplication } from '../../application.ts'

const session = '3f0b2f6e-51f6-4a34-9d3a-2b7f4f3c9c11'

/**
 * Brings the log of an application to a size, with records of sign-ins. `step` records get a
 * checkpoint.
 */
export async function growLog(application: TestApplication, size: number, step = size): Promise<void> {
  const { deps } = application
  const sequencer = createSequencer(deps, true)
  for (let at = await sizeOf(deps); at < size; at = await sizeOf(deps)) {
    await insertPending(application, Math.min(step, size - at))
    await sequencer.run()
  }
}

async function sizeOf({ database }: Deps): Promise<number> {
  return (await database.audit.newestCheckpoint()).size
}

/** Discards what is pending, and adds events. */
async function insertPending({ deps, sql }: TestApplication, count: number): Promise<void> {
  await sql('DELETE FROM audittrail_audit_pending')
  const rows = Array.from({ length: count }, () => {
    const about = { kind: 'user', id: session, username: 'ada@example.com' } as const
    const event = { event: 'login.succeeded', username: 'ada@example.com', session, address: '198.51.100.7' } as const
    const { row } = deps.audit.prepare({ event, about }, { by: { kind: 'anonymous' }, address: '198.51.100.7' })
    return { ...row, mac: row.mac.toString('hex') }
  })
  const part = 5000
  for (let first = 0; first < rows.length; first += part)
    await sql(`
      INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      SELECT process, n, leaf, "byPrivate", "aboutPrivate", decode(mac, 'hex')
      FROM json_to_recordset($json$${JSON.stringify(rows.slice(first, first + part))}$json$::json) AS given (
        process text, n bigint, leaf text, "byPrivate" text, "aboutPrivate" text, mac text)`)
}

const tables = ['events', 'nodes', 'checkpoints', 'state'].map((name) => `audittrail_audit_${name}`)

/** Runs work on a log that someone has changed by SQL, and restores it. */
export async function withChange<T>({ sql }: TestApplication, statement: string, work: () => Promise<T>): Promise<T> {
  for (const table of tables) await sql(`CREATE TABLE copy_of_${table} AS TABLE ${table}`)
  try {
    await sql(statement)
    return await work()
  } finally {
    for (const table of tables) {
      await sql(`DELETE FROM ${table}`)
      await sql(`INSERT INTO ${table} TABLE copy_of_${table}`)
      await sql(`DROP TABLE copy_of_${table}`)
    }
  }
}
