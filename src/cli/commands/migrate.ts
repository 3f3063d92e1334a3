import { migrateDatabase } from '../../app/app.ts'
import type { Command, ExitCode } from '../command.ts'
import { askRunningServer, withApp } from '../control/perform.ts'

export const migrate: Command = {
  name: 'migrate',
  summary: 'bring the database up to this version, and end',
  words: [],
  flags: { status: { doc: 'only say what is applied and what is pending' } },
  run: async (surroundings, { flags }): Promise<ExitCode> => {
    if (flags.has('status')) {
      const status =
        (await askRunningServer(surroundings, 'migrationStatus', {})) ??
        (await withApp(surroundings, ({ deps }) => deps.database.migrationStatus()))
      surroundings.stdout(
        `applied ${status.applied}\npending ${status.pending}\nnewer than this version ${status.newer}\n`,
      )
      return 0
    }
    const applied =
      (await askRunningServer(surroundings, 'migrate', {})) ?? (await withApp(surroundings, migrateDatabase))
    surroundings.stdout(applied === 0 ? 'Nothing to migrate.\n' : `Migrations applied: ${applied}.\n`)
    return 0
  },
}
