import type { Duplex } from 'node:stream'
export interface EmbeddedDatabase {
  socket: () => Duplex
  close(): Promise<void>
}
export async function openEmbedded(_d: string, _f: (reason: string) => void): Promise<EmbeddedDatabase> {
  throw new Error('not yet')
}
