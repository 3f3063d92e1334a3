import { prepareDatabase } from '../../app/app.ts'
import type { Command, ExitCode } from '../command.ts'
import { askRunningServer, withApp } from '../control/perform.ts'

export const seed: Command = {
  name: 'seed',
  summary: 'migrate, and make the first administrator if the database never had a user, and end',
  words: [],
  flags: {},
  run: async (surroundings): Promise<ExitCode> => {
    const seeded = (await askRunningServer(surroundings, 'seed', {})) ?? (await withApp(surroundings, prepareDatabase))
    const { adminUsername } = surroundings.config
    surroundings.stdout(
      seeded ? `Administrator ${adminUsername} made.\n` : 'Nobody seeded: this database has, or once had, users.\n',
    )
    return 0
  },
}
