import { createApiKey, withService } from '../database/service.ts'
import { interleave, load, ratesOf } from '../load/client.ts'
import { get, post } from '../load/requests.ts'
import { startReference } from '../reference/reference.ts'
import { loadRows, type Row, ratio } from '../report/row.ts'

/** Introspection, which checks an API key and a session, next to one prepared SELECT. */
export async function measureIntrospection(): Promise<Row[]> {
  const rows: Row[] = []
  await withService(async ({ port, databaseUrl, tokens }) => {
    const select = await startReference('select', databaseUrl)
    const key = await createApiKey(port, { name: 'introspector', scopes: ['introspect'] })
    const requests = tokens.map((token) => post('/api/auth/introspect', { token }, key))
    const runs = await interleave({
      select: (seconds) => load({ port: select.port, seconds, requests: [get('/', '')] }),
      introspect: (seconds) => load({ port, seconds, requests }),
    })
    await select.stop()
    rows.push(
      ...loadRows('one prepared SELECT (introspection)', runs.select),
      ...loadRows('/auth/introspect', runs.introspect),
      ratio('/auth/introspect to Bun.serve + one prepared SELECT', ratesOf(runs.introspect), ratesOf(runs.select)),
    )
  })
  return rows
}
