import { password } from './requests.ts'

/** Rounds of each measurement, and seconds of each load. */
export const rounds = Number(process.env.ROUNDS ?? 5)
export const seconds = Number(process.env.SECONDS ?? 3)

export const secretKey = { SECRET_KEY: 'k'.repeat(32) }

/** Returns the settings of a server on a PostgreSQL database. */
export function settingsFor(databaseUrl: string): Readonly<Record<string, string>> {
  return { DATABASE_URL: databaseUrl, ...secretKey, ADMIN_PASSWORD: password }
}
