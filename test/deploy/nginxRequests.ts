import type { Server } from '../binary/binary.ts'
import { until } from '../condition.ts'

/** For what fetch cannot do: choose the source address, send a raw path. */
export function curl(url: string, ...args: string[]): Promise<string> {
  return new Response(Bun.spawn(['curl', '-s', ...args, url]).stdout).text()
}

interface RequestLine {
  readonly method: string
  readonly address: string
  readonly request_id: string
}

/** Returns the request lines of the server's log up to now. */
export async function requestsOf(server: Server): Promise<RequestLine[]> {
  const last = crypto.randomUUID()
  await fetch(`${server.url}/nothing`, { headers: { 'x-request-id': last } })
  const lines = () => server.output.stdout.split('\n').slice(0, -1)
  await until(() => lines().some((line) => line.includes(last)))
  return lines()
    .filter((line) => line.includes('"event":"request"') && !line.includes(last))
    .map((line) => JSON.parse(line))
}
