import type { Config } from '../config/config.ts'
import { parseDatabaseUrl } from '../config/databaseUrl.ts'
import { createProductMetrics } from '../telemetry/productMetrics.ts'
import type { AppEnvironment } from './app.ts'
import { httpSettingsOf, wireDeps } from './wiring.ts'

/** Returns the OpenAPI document. Opens nothing: a pool without queries does not connect. */
export async function readOpenApiDocument(
  config: Config,
  { log, wallClock, monotonicClock }: Pick<AppEnvironment, 'log' | 'wallClock' | 'monotonicClock'>,
): Promise<string> {
  const { openPool } = await import('../db/pool/pool.ts')
  const { openDatabase } = await import('../db/database.ts')
  const { createHttp } = await import('../http/server.ts')
  const address = parseDatabaseUrl('postgresql://unused@localhost/unused')
  const database = openDatabase(openPool({ kind: 'server', address, poolSize: 1 }))
  const keys = { secretKeys: () => ({ current: 'unused', previous: [] }) }
  const deps = wireDeps(database, config, keys, {
    log,
    clock: wallClock,
    monotonicClock,
    metrics: createProductMetrics(),
  })
  const http = createHttp(deps, httpSettingsOf({ ...config, docs: 'on' }), wallClock)
  const response = await http.handle(new Request(`http://localhost${config.basePath}/openapi.json`))
  return JSON.stringify(await response.json(), undefined, 2)
}
