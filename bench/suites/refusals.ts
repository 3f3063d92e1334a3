import postgres from 'postgres'
import { startServer } from '../../test/postgresqlServer.ts'
import { binary, start } from '../machine/process.ts'
import { password, settingsFor } from '../options.ts'
import { type Row, spreadOf } from '../report/row.ts'

const samples = 200
const kinds = ['unknown', 'known', 'disabled', 'lowCost'] as const
type Kind = (typeof kinds)[number]

/**
 * Measures how long each kind of failed sign-in takes. Each sample uses another account and
 * network.
 */
export async function measureRefusals(): Promise<Row[]> {
  const server = await startServer([])
  const environment = { ...settingsFor(server.url), TRUSTED_PROXIES: '127.0.0.1' }
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  try {
    const { port, stop } = await start({ file: binary, path: '/api/ready', environment })
    await insertUsers(client)
    const times = new Map<Kind, number[]>(kinds.map((kind) => [kind, []]))
    for (let number = 0; number < samples; number++) {
      for (const kind of kinds) times.get(kind)?.push(await timeRefusal(port, kind, number))
    }
    await stop()
    const median = (kind: Kind) => spreadOf(times.get(kind) ?? []).median
    return [
      { what: 'rejection of a wrong password, ms', values: times.get('known') ?? [] },
      ...(['unknown', 'disabled', 'lowCost'] as const).map((kind) => ({
        what: `median rejection, ${kind} to wrong password (0.90 to 1.10)`,
        values: [median(kind) / median('known')],
      })),
    ]
  } finally {
    await client.end()
    await server.stop()
  }
}

async function insertUsers(client: postgres.Sql): Promise<void> {
  const lowCostHash = await Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 })
  await client`INSERT INTO users (username, hashed_password, full_name, is_active)
    SELECT kind || number, CASE kind WHEN 'lowCost' THEN ${lowCostHash} ELSE (SELECT hashed_password FROM users LIMIT 1) END, 'User', kind <> 'disabled'
    FROM unnest(ARRAY['known', 'disabled', 'lowCost']) AS kind, generate_series(0, ${samples - 1}::integer) AS number`
}

/** Returns the milliseconds of one failed sign-in. A disabled user sends the right password. */
async function timeRefusal(port: number, kind: Kind, number: number): Promise<number> {
  const body = new URLSearchParams({
    username: `${kind}${number}`,
    password: kind === 'disabled' ? password : 'wrong',
  })
  const network = kinds.indexOf(kind) * 64 + (number >> 8)
  const headers = { 'x-forwarded-for': `198.18.${network}.${number & 255}` }
  const started = performance.now()
  const response = await fetch(`http://127.0.0.1:${port}/api/auth/login`, { method: 'POST', body, headers })
  await response.text()
  if (response.status !== 401) throw new Error(`Expected a failed login to return 401, got ${response.status}.`)
  return performance.now() - started
}
