/** Rounds of each measurement, and seconds of each load in it. */
export const rounds = Number(process.env.ROUNDS ?? 3)
export const seconds = Number(process.env.SECS ?? 3)

export const password = 'correct horse battery staple'
export const secretKey = 'k'.repeat(32)

/** Returns the settings of a service on a PostgreSQL database. */
export function settingsFor(databaseUrl: string): Readonly<Record<string, string>> {
  return { DATABASE_URL: databaseUrl, SECRET_KEY: secretKey, ADMIN_PASSWORD: password }
}
