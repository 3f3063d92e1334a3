import { migrateDatabase } from '../../app/startup.ts'
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
    const applied =
      (await askRunningServer(environment, 'migrate', {})) ?? (await withApp(environment, migrateDatabase))
    environment.stdout(applied === 0 ? 'Nothing to migrate.\n' : `Migrations applied: ${applied}.\n`)
    return 0
  },
}
