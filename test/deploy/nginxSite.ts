import { chmodSync } from 'node:fs'
import { run } from '../binary/binary.ts'
import { temporaryDirectory } from '../endOfFile.ts'

/** Returns the printed configuration, with its cache where an unprivileged test may write. */
export async function printSite(args: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await run(['nginx', ...args], { environment })
  if (code !== 0) throw new Error(stderr)
  const directory = temporaryDirectory('cache')
  // Nginx started as root runs workers as another user, who needs access.
  chmodSync(directory, 0o755)
  return stdout.replace('proxy_cache_path /run/', `proxy_cache_path ${directory}/`)
}

/** An upstream that reports the request it received. */
export function serveEcho() {
  let asked = 0
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      asked++
      const body = await request.text()
      return Response.json({ url: request.url, method: request.method, headers: request.headers.toJSON(), body })
    },
  })
  return { host: `127.0.0.1:${server.port}`, asked: () => asked, stop: () => server.stop(true) }
}
