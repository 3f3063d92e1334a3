import { signIn, withService } from '../database/service.ts'
import { interleave, loadByBun, ratesOf } from '../load/client.ts'
import { get } from '../load/requests.ts'
import { startReference } from '../reference/reference.ts'
import { loadRows, type Row, ratio } from '../report/row.ts'

const connections = 32

/** Refreshes, each a commit, next to one prepared UPDATE. Each connection rotates its own token. */
export async function measureRefresh(): Promise<Row[]> {
  const rows: Row[] = []
  await withService(async ({ port, databaseUrl }) => {
    const update = await startReference('update', databaseUrl)
    const signIns = Array.from({ length: connections }, (_, index) => signIn(port, `user${index}`, 'offline_access'))
    let refreshTokens: readonly string[] = (await Promise.all(signIns)).map((tokens) => tokens.refresh_token ?? '')
    const runs = await interleave({
      update: (seconds) => loadByBun({ port: update.port, connections, seconds, requests: [get('/', '')] }),
      refresh: async (seconds) => {
        const run = await loadByBun({ port, connections, seconds, requests: [], refreshTokens })
        refreshTokens = run.refreshTokens
        return run
      },
    })
    await update.stop()
    rows.push(
      ...loadRows('Bun.serve + one prepared UPDATE', runs.update),
      ...loadRows('/auth/refresh', runs.refresh),
      ratio('/auth/refresh to Bun.serve + one prepared UPDATE', ratesOf(runs.refresh), ratesOf(runs.update)),
    )
  })
  return rows
}
