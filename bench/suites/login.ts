import { withService } from '../database/service.ts'
import { interleave, load, ratesOf } from '../load/client.ts'
import { verifyNatively } from '../reference/reference.ts'
import { type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

const clients = 8

/** Logins, next to native argon2 that does nothing else. */
export async function measureLogin(): Promise<Row[]> {
  const rows: Row[] = []
  await withService(async ({ port, hash, logins }) => {
    const runs = await interleave<'argon2' | 'login', { readonly perSecond: number }>({
      argon2: (seconds) => verifyNatively(hash, clients, seconds),
      login: (seconds) => load({ port, connections: clients, seconds, requests: logins }),
    })
    rows.push(
      { what: 'native argon2 alone, hashes/s', values: ratesOf(runs.argon2) },
      { what: 'logins at 8 clients, logins/s', values: ratesOf(runs.login) },
      ratio(names.login, ratesOf(runs.login), ratesOf(runs.argon2)),
    )
  })
  return rows
}
