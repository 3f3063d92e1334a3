import type { App } from '../../app/app.ts'
import { bindSecretKey, prepareDatabase, requireDatabaseKey } from '../../app/startup.ts'
import type { Command, ExitCode } from '../command.ts'
import { askRunningServer, withApp } from '../control/perform.ts'

async function seedDatabase(app: App): Promise<boolean> {
  await requireDatabaseKey(app)
  const isSeeded = await prepareDatabase(app)
  await bindSecretKey(app)
  return isSeeded
}

export const seed: Command = {
  name: 'seed',
  summary: 'Migrate and create the first administrator',
  details:
    'Only a database that never had a user gets an administrator. The server does this on its own when it starts.',
  arguments: [],
  flags: {},
  run: async (environment): Promise<ExitCode> => {
    const isSeeded = (await askRunningServer(environment, 'seed', {})) ?? (await withApp(environment, seedDatabase))
    environment.stdout(
      isSeeded
        ? `Administrator ${environment.config.adminUsername} created.\n`
        : 'Nothing to seed: this database already has, or had, users.\n',
    )
    return 0
  },
}
