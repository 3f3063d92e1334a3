import { bindSecretKey, migrateAndRecord, requireDatabaseKey } from '../../app/startup.ts'
import { createWidthCheck, newColumnWidths } from '../../domain/import/columnWidths.ts'
import { hashWarnings } from '../../domain/import/exportedUser.ts'
import { type ExportedUser, exportUsers } from '../../domain/users/exportUsers.ts'
import type { Command, CommandEnvironment, ExitCode } from '../command.ts'
import { actor } from '../control/auditOperations.ts'
import { asCommand } from '../control/operations.ts'
import { hasRunningServer, requireDatabase, withApp } from '../control/perform.ts'
import { askServerToExport } from '../control/streams.ts'
import { openOutput } from '../terminal/output.ts'

export const exportCommand: Command = {
  name: 'export',
  summary: 'Export all users with their password hashes',
  details: 'FILE is created for you alone to read. Use - for standard output.',
  arguments: ['FILE'],
  flags: { force: { doc: 'Replace an existing file' } },
  run: async (environment, { arguments: [file = ''], flags }): Promise<ExitCode> => {
    const output = openOutput(file, flags.has('force'))
    const warnings = createWarnings(environment)
    try {
      const exported = await runExport(environment, async (users) => {
        output.write(linesOf(users))
        warnings.check(users)
      })
      output.finish()
      warnings.finish()
      environment.stderr(
        `Exported ${exported.toLocaleString('en')} ${exported === 1 ? 'user' : 'users'}. The file contains password hashes, so anyone who reads it can brute-force them. Protect it like the database, and delete it after use.\n`,
      )
      return 0
    } finally {
      output.abandon()
    }
  },
}

/** Runs on the server that has the embedded database open, or in this process. Returns how many. */
async function runExport(
  environment: CommandEnvironment,
  take: (users: readonly ExportedUser[]) => Promise<void>,
): Promise<number> {
  if (await hasRunningServer(environment)) return askServerToExport(environment.config.dataDir, take)
  requireDatabase(environment.config)
  return withApp(environment, async (app) => {
    await requireDatabaseKey(app)
    await migrateAndRecord(app)
    await bindSecretKey(app)
    return exportUsers(asCommand(app.deps), actor, take)
  })
}

/** Warns about the lines that an import into a new database would reject, or warn about. */
function createWarnings({ stderr }: CommandEnvironment) {
  const widthCheck = createWidthCheck(newColumnWidths, 'a new database')
  let line = 0
  return {
    check: (users: readonly ExportedUser[]) => {
      for (const user of users) {
        line++
        const warnings = [...widthCheck.errorsOf(user), ...hashWarnings(user.hashed_password)]
        if (warnings.length > 0) stderr(`line ${line}: warning: ${warnings.join('; ')}\n`)
      }
    },
    finish: () => {
      const alterTable = widthCheck.alterTable()
      if (alterTable !== undefined)
        stderr(`Before you import the file into a new database, make room there with: ${alterTable}\n`)
    },
  }
}

function linesOf(users: readonly ExportedUser[]): string {
  return users.map((user) => `${JSON.stringify(user)}\n`).join('')
}
