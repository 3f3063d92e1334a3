import { migrateDatabase } from '../../app/app.ts'
import { type ExportedUser, exportUsers } from '../../domain/users/exportUsers.ts'
import type { Command, CommandEnvironment, ExitCode } from '../command.ts'
import { actor } from '../control/operations.ts'
import { askRunningServer, requireDatabase, withApp } from '../control/perform.ts'
import { askServerToExport } from '../control/streams.ts'
import { openOutput } from '../terminal/output.ts'

export const exportCommand: Command = {
  name: 'export',
  summary: 'write every user with the hash of the password to a new file that only you can read; - is standard output',
  words: ['FILE'],
  flags: { force: { doc: 'replace the file where there is one' } },
  run: async (surroundings, { words: [file = ''], flags }): Promise<ExitCode> => {
    const output = openOutput(file, flags.has('force'))
    try {
      const exported = await carryOut(surroundings, async (users) => output.write(linesOf(users)))
      output.finish()
      surroundings.stderr(
        `Exported ${exported.toLocaleString('en')} ${exported === 1 ? 'user' : 'users'}, with the hash of each password: whoever reads this can guess at them. Keep it as you keep the database, and delete it when it has done its work.\n`,
      )
      return 0
    } finally {
      output.abandon()
    }
  },
}

/** By the server that holds the embedded database, or else here. Answers how many. */
async function carryOut(
  surroundings: CommandEnvironment,
  take: (users: readonly ExportedUser[]) => Promise<void>,
): Promise<number> {
  const isHeld = (await askRunningServer(surroundings, 'migrationStatus', {})) !== undefined
  if (isHeld) return askServerToExport(surroundings.config.dataDir, take)
  requireDatabase(surroundings.config)
  return withApp(surroundings, async (app) => {
    await migrateDatabase(app)
    return exportUsers(app.deps, actor, take)
  })
}

function linesOf(users: readonly ExportedUser[]): string {
  return users.map((user) => `${JSON.stringify(user)}\n`).join('')
}
