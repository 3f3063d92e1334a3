import { withService } from '../database/service.ts'
import { interleave, load, ratesOf } from '../load/client.ts'
import { get } from '../load/requests.ts'
import { type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

const clients = 8

/** This version next to the executable BEFORE, each on a server of its own. */
export async function measureBefore(): Promise<Row[]> {
  const rows: Row[] = []
  const file = process.env.BEFORE
  if (file === undefined) return rows
  await withService(async (now) => {
    await withService(async (before) => {
      const me = (service: typeof now) => (seconds: number) =>
        load({ port: service.port, seconds, requests: service.tokens.map((token) => get('/api/auth/me', token)) })
      const login = (service: typeof now) => (seconds: number) =>
        load({ port: service.port, connections: clients, seconds, requests: service.logins })
      const runs = await interleave({
        meBefore: me(before),
        me: me(now),
        loginBefore: login(before),
        login: login(now),
      })
      rows.push(
        { what: '/auth/me, requests/s', values: ratesOf(runs.me) },
        { what: 'logins at 8 clients, to the version before, logins/s', values: ratesOf(runs.login) },
        ratio(names.meBefore, ratesOf(runs.me), ratesOf(runs.meBefore)),
        ratio(names.loginBefore, ratesOf(runs.login), ratesOf(runs.loginBefore)),
      )
    }, file)
  })
  return rows
}
