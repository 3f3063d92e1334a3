import postgres from 'postgres'
import { startServer } from '../../test/postgresqlServer.ts'
import { binary, start } from '../machine/process.ts'
import { password, settingsFor } from '../options.ts'
import { type Row, spreadOf } from '../report/row.ts'

const samples = 40
const kinds = ['wrong', 'unknown', 'disabled', 'lowCost', 'bcrypt', 'disabledBcrypt'] as const
type Kind = (typeof kinds)[number]

/**
 * Measures how long each kind of rejected sign-in takes, with each verifier, beside adopted bcrypt
 * hashes of two costs. Each sample uses another account and network.
 */
export async function measureRefusals(): Promise<Row[]> {
  const rows: Row[] = []
  for (const verifier of ['native', 'bun']) {
    for (const cost of [10, 12]) rows.push(...(await measure(verifier, cost)))
  }
  return rows
}

async function measure(verifier: string, bcryptCost: number): Promise<Row[]> {
  const server = await startServer([])
  const NATIVE_ARGON2 = verifier === 'native' ? 'on' : 'off'
  const environment = { ...settingsFor(server.url), TRUSTED_PROXIES: '127.0.0.1', NATIVE_ARGON2 }
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  try {
    const { port, stop } = await start({ file: binary, path: '/api/ready', environment })
    await insertUsers(client, bcryptCost)
    const times = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]))
    // The first one meets hashes that another program has stored, and counts them from then on.
    for (const kind of kinds) await timeRejection(port, kind, samples)
    for (let number = 0; number < samples; number++) {
      // In random order: a sign-in can find memory that the one before it has freed.
      const order = kinds.toSorted(() => Math.random() - 0.5)
      for (const kind of order) times.get(kind)?.push(await timeRejection(port, kind, number))
    }
    await stop()
    const median = (kind: Kind) => spreadOf(times.get(kind) ?? []).median
    const title = `${verifier} argon2, beside bcrypt ${bcryptCost}`
    return [
      { what: `rejection of a wrong password, ${title}, ms`, values: times.get('wrong') ?? [] },
      ...kinds.slice(1).map((kind) => ({
        what: `median rejection, ${kind} to wrong password, ${title} (0.90 to 1.10)`,
        values: [median(kind) / median('wrong')],
      })),
    ]
  } finally {
    await client.end()
    await server.stop()
  }
}

async function insertUsers(client: postgres.Sql, cost: number): Promise<void> {
  const lowCost = await Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 })
  const bcrypt = await Bun.password.hash(password, { algorithm: 'bcrypt', cost })
  await client`INSERT INTO users (username, hashed_password, full_name, is_active)
    SELECT kind || number,
           CASE WHEN kind = 'lowCost' THEN ${lowCost} WHEN kind ILIKE '%bcrypt' THEN ${bcrypt}
                ELSE (SELECT hashed_password FROM users LIMIT 1) END,
           'User', kind NOT LIKE 'disabled%'
    FROM unnest(${kinds.filter((kind) => kind !== 'unknown')}::text[]) AS kind,
         generate_series(0, ${samples}::integer) AS number`
}

/** Returns the milliseconds of one rejected sign-in. A disabled user sends the right password. */
async function timeRejection(port: number, kind: Kind, number: number): Promise<number> {
  const body = new URLSearchParams({
    username: `${kind}${number}`,
    password: kind.startsWith('disabled') ? password : 'wrong',
  })
  const network = kinds.indexOf(kind) * 64 + (number >> 8)
  const headers = { 'x-forwarded-for': `198.${18 + (network >> 8)}.${network & 255}.${number & 255}` }
  const started = performance.now()
  const response = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body, headers })
  await response.text()
  if (response.status !== 401) throw new Error(`Expected a rejected sign-in to return 401, got ${response.status}.`)
  return performance.now() - started
}
