import postgres from 'postgres'
import { type PostgresqlServer, startServer } from '../../test/postgresqlServer.ts'
import { fill, hashPassword } from '../database/fill.ts'
import { signIn } from '../database/service.ts'
import { signTokens } from '../database/tokens.ts'
import { interleave, type Run } from '../load/client.ts'
import { type CostedLoad, loadWithCost, totalCosts } from '../load/cost.ts'
import { get } from '../load/requests.ts'
import { binary, type Started, start } from '../machine/process.ts'
import { settingsFor } from '../options.ts'
import { loadRows, type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

/** Numbers of users, with two sessions each: `GROWTH=10000,1000000`. */
const sizes = (process.env.GROWTH ?? '1000,10000,100000,1000000').split(',').map(Number)
const basis = 10_000

interface Site {
  readonly users: number
  readonly started: Started
  readonly run: Run<CostedLoad>
}

/** Requests with a token on databases of different sizes, each with a process of its own. */
export async function measureGrowth(): Promise<Row[]> {
  // Filling is not measured, and requests with a token change nothing.
  const server = await startServer(['fsync=off', 'max_wal_size=8GB', 'maintenance_work_mem=256MB'])
  const hash = await hashPassword()
  const sites: Site[] = []
  try {
    for (const users of sizes) sites.push(await openSite(server, users, hash))
    const runs = await interleave(Object.fromEntries(sites.map(({ users, run }) => [`${users}`, run])))
    for (const { started } of sites) await started.stop()
    const rates = (users: number) => runs[`${users}`]?.map(({ perSecond }) => perSecond) ?? []
    const costs = (users: number) => totalCosts(runs[`${users}`] ?? [])
    return sites.flatMap(({ users }) => {
      const name = `/auth/me at ${powerOf(users)} users and ${powerOf(users, 2)} sessions`
      const comparison =
        users === basis || rates(basis).length === 0
          ? []
          : [
              ratio(nameOf(users), rates(basis), rates(users)),
              ratio(`${name}, to 10⁴, CPU per request`, costs(users), costs(basis)),
            ]
      return [...loadRows(name, runs[`${users}`] ?? []), ...comparison]
    })
  } finally {
    await server.stop()
  }
}

async function openSite(server: PostgresqlServer, users: number, hash: string): Promise<Site> {
  const name = `users_${users}`
  const administration = postgres(server.url, { max: 1, onnotice: () => {} })
  await administration.unsafe(`CREATE DATABASE ${name}`)
  await administration.end()
  const url = new URL(server.url)
  url.pathname = `/${name}`
  const started = await start({ file: binary, path: '/api/ready', environment: settingsFor(url.href) })
  const client = postgres(url.href, { max: 1, onnotice: () => {} })
  const began = performance.now()
  await fill(client, users, hash)
  console.log(`  filled ${users.toLocaleString('en')} users in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  const { access_token: template = '' } = await signIn(started.port, 'admin')
  const requests = (await signTokens(client, template, 1000)).map((token) => get('/api/auth/me', token))
  await client.end()
  return {
    users,
    started,
    run: (seconds) => loadWithCost({ port: started.port, seconds, requests }, started.process.pid, server.processId()),
  }
}

function nameOf(users: number): string {
  return users === 1_000_000
    ? names.growth
    : `/auth/me at ${powerOf(users)} users and ${powerOf(users, 2)} sessions, to 10⁴, time per request`
}

function powerOf(value: number, factor = 1): string {
  const exponent = String(Math.round(Math.log10(value)))
  const power = `10${[...exponent].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')}`
  return factor === 1 ? power : `${factor}·${power}`
}
