import { expect } from 'bun:test'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, run, type Server } from './binary.ts'

const lowCost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
export const [oldKey, newKey] = ['o'.repeat(32), 'n'.repeat(32)]
export const databases = ['PostgreSQL', 'the embedded database'] as const

export interface Installation {
  readonly directory: string
  readonly environment: Record<string, string>
}

export async function createInstallation(
  kind: (typeof databases)[number],
  settings: Record<string, string>,
): Promise<Installation> {
  const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
  return { directory: emptyDirectory(), environment: { ...database, ...lowCost, ...settings } }
}

interface ListedKey {
  readonly kid: string | null
  readonly state: string
}

export async function listKeys(installation: Installation): Promise<ListedKey[]> {
  const { code, stdout, stderr } = await run(['key', 'list', '--json'], installation)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

export async function publishedKids({ url }: Server): Promise<(string | undefined)[]> {
  const response = await fetch(`${url}/.well-known/jwks.json`)
  return ((await response.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
}
