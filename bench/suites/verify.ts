import { createApiKey, signInBrowsers, withService } from '../database/service.ts'
import { interleave, type Load, load, type Run, ratesOf } from '../load/client.ts'
import { askByCookie, get } from '../load/requests.ts'
import { loadRows, type Row, ratio } from '../report/row.ts'
import { names } from '../report/targets.ts'

/** Forward authentication by token, API key and cookie, next to `/auth/me`. */
export async function measureVerify(): Promise<Row[]> {
  const rows: Row[] = []
  await withService(async ({ port, tokens }) => {
    const keys: string[] = []
    for (let number = 0; number < tokens.length; number++)
      keys.push(await createApiKey(port, { name: `service${number}`, roles: ['staff'] }))
    const cookies = await signInBrowsers(port, tokens.length)
    const send =
      (requests: readonly string[]): Run<Load> =>
      (seconds) =>
        load({ port, seconds, requests })
    const run = (path: string, credentials: readonly string[]) =>
      send(credentials.map((credential) => get(path, credential)))
    const runs = await interleave({
      me: run('/api/auth/me', tokens),
      token: run('/api/auth/verify', tokens),
      key: run('/api/auth/verify', keys),
      cookie: send(cookies.map((cookie) => askByCookie('/api/auth/verify', cookie))),
      health: send([get('/api/health', '')]),
    })
    rows.push(
      ...loadRows('/auth/me, for comparison', runs.me),
      ...loadRows('/auth/verify with a token', runs.token),
      ...loadRows('/auth/verify with an API key', runs.key),
      ...loadRows('/auth/verify with a cookie', runs.cookie),
      ...loadRows('/health', runs.health),
      ratio(names.verify, ratesOf(runs.token), ratesOf(runs.me)),
      ratio('/auth/verify with an API key to /auth/me', ratesOf(runs.key), ratesOf(runs.me)),
      ratio(names.verifyByCookie, ratesOf(runs.cookie), ratesOf(runs.token)),
      ratio('/auth/verify to /health', ratesOf(runs.token), ratesOf(runs.health)),
    )
  })
  return rows
}
