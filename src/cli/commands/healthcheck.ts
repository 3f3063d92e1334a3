import { get } from 'node:http'
import type { Config } from '../../config/config.ts'
import type { Command } from '../command.ts'

export const healthcheck: Command = {
  name: 'healthcheck',
  summary: 'Check that the server on this machine is alive',
  details:
    'Exits with 0 if it is and with 1 if it is not. Reads HOST, PORT and BASE_PATH. Made for the HEALTHCHECK of a container.',
  arguments: [],
  flags: { ready: { doc: 'Check that it is ready, including its database' } },
  run: async ({ config, stderr }, { flags }) => {
    const url = `${localAddress(config)}${config.basePath}/${flags.has('ready') ? 'ready' : 'health'}`
    const problem = await checkHealth(url)
    if (problem === undefined) return 0
    stderr(`audittrail: ${url} ${problem}\n`)
    return 1
  },
}

const timeoutMilliseconds = 3000

/** Returns undefined if healthy. Uses node:http because fetch obeys proxy variables. */
function checkHealth(url: string): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const noResponse =
    'does not respond. Check that the server is running and has the same HOST, PORT and BASE_PATH as this command.'
  const request = get(url, { timeout: timeoutMilliseconds }, (response) => {
    response.resume()
    resolve(response.statusCode === 200 ? undefined : `returned status ${response.statusCode}.`)
  })
  request.on('timeout', () => request.destroy())
  request.on('error', () => resolve(noResponse))
  request.on('close', () => resolve(noResponse))
  return promise
}

function localAddress({ host, port }: Config): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (host === '::') return `http://[::1]:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
