import type { Server } from '../binary/binary.ts'

/** For what fetch cannot do: choose the source address, send a raw path. */
export function curl(url: string, ...args: string[]): Promise<string> {
  return new Response(Bun.spawn(['curl', '-s', ...args, url]).stdout).text()
}

interface RequestLine {
  readonly method: string
  readonly address: string
  readonly request_id: string
}

/** Returns the request lines of the server's log once it is silent. */
export async function requestsOf(server: Server): Promise<RequestLine[]> {
  for (let length = -1; length !== server.output.stdout.length; await Bun.sleep(50))
    length = server.output.stdout.length
  return server.output.stdout
    .split('\n')
    .filter((line) => line.includes('"event":"request"'))
    .map((line) => JSON.parse(line))
}
