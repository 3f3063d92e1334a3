import { afterAll, beforeAll } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SQL } from 'bun'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, run, type Server, serve } from './binary.ts'

const environment = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1', SECRET_KEY: 'k'.repeat(32) }

/** A hash of `password` in test/domain/hashes/formats.ts. */
export const hash = '$2y$05$zi3Af9NgFe1WuAIifb6CquYSAHpiBilfuKKDMeKu0KsYqFwWQ5SjC'

/** Where a server and its commands run: their working directory and settings. */
export interface Installation {
  readonly directory: string
  readonly environment: Record<string, string>
}

export const databaseKinds = ['PostgreSQL', 'the embedded database'] as const
export type DatabaseKind = (typeof databaseKinds)[number]
export const serverStates = ['with the server down', 'with the server up'] as const

export async function newInstallation(kind: DatabaseKind): Promise<Installation> {
  const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
  return { directory: emptyDirectory(), environment: { ...environment, ...database } }
}

/** Installs before the tests of a suite, and leaves the server up or down. */
export function installForSuite(kind: DatabaseKind, state: (typeof serverStates)[number]) {
  let installation: Installation
  let server: Server | undefined
  beforeAll(async () => {
    installation = await newInstallation(kind)
    server = await serve(installation)
    if (state === 'with the server down') {
      await server.stop()
      // A stopping server takes pending events for at most half a second.
      while (await hasPending(installation)) await (await serve(installation)).stop()
      server = undefined
    }
  })
  afterAll(() => server?.stop())
  return {
    installation: () => installation,
    command: (args: string, input = '') => run(args.split(' '), { ...installation, input }),
    write: (name: string, text: string) => writeFileSync(join(installation.directory, name), text),
    /** Starts a server for the work if none is up. */
    withServer: async (work: (server: Server) => Promise<void>) => {
      const running = server ?? (await serve(installation))
      await work(running)
      if (!server) await running.stop()
    },
  }
}

async function hasPending({ environment: { DATABASE_URL: url } }: Installation): Promise<boolean> {
  if (url === undefined) return false
  const sql = new SQL(url, { max: 1 })
  const [row] = await sql`SELECT count(*)::int AS count FROM audittrail_audit_pending`
  await sql.close()
  return row.count > 0
}

export function linesOf(users: readonly object[]): string {
  return users.map((user) => `${JSON.stringify(user)}\n`).join('')
}
