import { prepareDatabase } from '../app.ts'
import type { Command } from './command.ts'
import { withApp } from './withApp.ts'

export const seed: Command = {
  name: 'seed',
  summary: 'migrate, and make the first administrator if the database never had a user, and end',
  usage: '',
  flags: {},
  run: (surroundings) =>
    withApp(surroundings, async (app) => {
      const seeded = await prepareDatabase(app)
      surroundings.stdout(
        seeded
          ? `Administrator ${app.administrator.username} made.\n`
          : 'Nobody seeded: this database has, or once had, users.\n',
      )
    }),
}
