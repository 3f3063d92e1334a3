import { get } from 'node:http'
import type { Config } from '../../config/config.ts'
import type { Command } from '../command.ts'

export const healthcheck: Command = {
  name: 'healthcheck',
  summary: 'ask the server that runs here whether it is alive (for HEALTHCHECK); exit 0 or 1',
  words: [],
  flags: { ready: { doc: 'ask whether it is ready, its database included' } },
  run: async ({ config, stderr }, { flags }) => {
    const url = `${localAddress(config)}${config.basePath}/${flags.has('ready') ? 'ready' : 'health'}`
    const fault = await askHealth(url)
    if (fault === undefined) return 0
    stderr(`audittrail: ${url} ${fault}\n`)
    return 1
  },
}

const timeoutMilliseconds = 3000

/** Undefined when all is well. Not by fetch, which would ask a proxy that the environment names. */
function askHealth(url: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const silent = 'does not answer: is the server running, and are HOST, PORT and BASE_PATH the same here?'
  const request = get(url, { timeout: timeoutMilliseconds }, (response) => {
    response.resume()
    resolve(response.statusCode === 200 ? undefined : `answered ${response.statusCode}.`)
  })
  request.on('timeout', () => request.destroy())
  request.on('error', () => resolve(silent))
  request.on('close', () => resolve(silent))
  return promise
}

function localAddress({ host, port }: Config): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (host === '::') return `http://[::1]:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
