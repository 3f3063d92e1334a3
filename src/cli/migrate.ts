import { migrateDatabase } from '../app.ts'
import type { Command } from './command.ts'
import { withApp } from './withApp.ts'

export const migrate: Command = {
  name: 'migrate',
  summary: 'bring the database up to this version, and end',
  usage: '[--status]',
  flags: { status: 'only say what is applied and what is pending' },
  run: (surroundings, flags) =>
    withApp(surroundings, async (app) => {
      if (flags.has('status')) {
        const { applied, pending, newer } = await app.deps.database.migrationStatus()
        surroundings.stdout(`applied ${applied}\npending ${pending}\nnewer than this version ${newer}\n`)
        return
      }
      const applied = await migrateDatabase(app)
      surroundings.stdout(applied === 0 ? 'Nothing to migrate.\n' : `Migrations applied: ${applied}.\n`)
    }),
}
