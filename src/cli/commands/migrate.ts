import { migrateAndRecord } from '../../app/startup.ts'
import type { MigrationReport } from '../../db/migrations/migrate.ts'
import type { Command, ExitCode } from '../command.ts'
import { askRunningServer, withApp } from '../control/perform.ts'

export const migrate: Command = {
  name: 'migrate',
  summary: 'Apply pending database migrations',
  details: 'The server does this on its own when it starts.',
  arguments: [],
  flags: { status: { doc: 'Only print how many migrations are applied and pending' } },
  run: async (environment, { flags }): Promise<ExitCode> => {
    if (flags.has('status')) {
      const status =
        (await askRunningServer(environment, 'migrationStatus', {})) ??
        (await withApp(environment, ({ deps }) => deps.database.migrationStatus()))
      environment.stdout(
        `applied ${status.applied}\npending ${status.pending}\nnewer than this version ${status.newer}\n`,
      )
      return 0
    }
    // A server has already migrated its database.
    const isServed = (await askRunningServer(environment, 'migrate', {})) !== undefined
    const report = isServed
      ? undefined
      : await withApp(environment, async (app) => {
          const migrated = await migrateAndRecord(app)
          await app.deps.database.completeIndexes()
          return migrated
        })
    environment.stdout(reportText(report))
    return 0
  },
}

function reportText(report: MigrationReport | undefined): string {
  if (!report || report.applied === 0) return 'Nothing to do: the database is up to date.\n'
  const { applied, adopted, isNew, note } = report
  if (!isNew) return `Migrations applied: ${applied}.\n`
  if (adopted === undefined) return `Created the tables (migrations applied: ${applied}).\n${note ? `${note}\n` : ''}`
  const users = `${adopted.toLocaleString('en')} ${adopted === 1 ? 'user' : 'users'}`
  return `Adopted ${users} and created the other tables (migrations applied: ${applied}).
Next, choose an administrator: audittrail user set NAME --role admin
`
}
