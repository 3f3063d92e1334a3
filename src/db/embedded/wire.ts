// The part of PostgreSQL's wire protocol needed to pass whole messages to the embedded engine.

const protocolVersion3 = 196608
const terminateMessage = 0x58
const nothing: Buffer = Buffer.alloc(0)

export interface FrontendStream {
  /**
   * Adds received bytes. Returns the complete messages, and statements that apply the client's
   * settings.
   */
  take(bytes: Uint8Array): { whole: Uint8Array; options: Uint8Array[] }
  /** Returns whether no message is partially received. */
  empty(): boolean
}

/**
 * The messages of one client session. The engine would wait forever for the rest of a partial
 * message and would exit on Terminate, so neither reaches it.
 */
export function frontendStream(): FrontendStream {
  let state: 'starting' | 'running' | 'over' = 'starting'
  let rest: Buffer = nothing

  function take(bytes: Uint8Array): { whole: Uint8Array; options: Uint8Array[] } {
    if (state === 'over') return { whole: nothing, options: [] }
    const all =
      rest.length === 0 ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) : Buffer.concat([rest, bytes])
    let options: Uint8Array[] = []
    let end = 0
    while (all.length - end >= 8 || (state === 'running' && all.length - end >= 5)) {
      const starting = state === 'starting'
      if (!starting && all[end] === terminateMessage) {
        state = 'over'
        break
      }
      const length = starting ? all.readInt32BE(end) : all.readInt32BE(end + 1) + 1
      if (all.length - end < length) break
      if (starting) {
        if (all.readInt32BE(end + 4) !== protocolVersion3) throw new Error('unexpected start of a session')
        options = startupOptions(all.subarray(end + 8, end + length))
        state = 'running'
      }
      end += length
    }
    rest = state === 'over' ? nothing : all.subarray(end)
    return { whole: all.subarray(0, end), options }
  }

  return { take, empty: () => rest.length === 0 }
}

/** Unlike a server, the engine ignores settings in the startup message. */
function startupOptions(body: Buffer): Uint8Array[] {
  const words = body.toString('utf8').split('\0')
  const statements: Uint8Array[] = []
  for (let at = 0; at + 1 < words.length; at += 2) {
    const [name, value] = [words[at] ?? '', words[at + 1] ?? '']
    if (name === '' || ['user', 'database', 'client_encoding', 'options', 'replication'].includes(name)) continue
    statements.push(simpleQuery(`SELECT set_config(${quote(name)}, ${quote(value)}, false)`))
  }
  return statements
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

export function simpleQuery(sql: string): Uint8Array {
  const text = Buffer.from(`${sql}\0`)
  const head = Buffer.from('Q\0\0\0\0')
  head.writeInt32BE(text.length + 4, 1)
  return Buffer.concat([head, text])
}

export const sync: Uint8Array = Buffer.from('S\0\0\0\u0004')
