import type { DatabaseAddress } from '../../../src/config/databaseUrl.ts'
import { databaseFailure } from '../../../src/db/failure.ts'
import { createPrimaryOpener } from '../../../src/db/hosts/primaryOpener.ts'
import { type OpenConnection, openConnection } from '../../../src/db/pool/connection.ts'
import { freePort } from '../../postgresqlServer.ts'

const observer = { count() {}, abandon: ({ drop }: { drop(): void }) => drop() }

/**
 * Opens connections to the first of two hosts, the second of which is down, until it grants no
 * more. Returns the failure, and the address that is then taken for the primary. `closing` receives
 * the functions that close them.
 */
export async function fillPrimary(address: DatabaseAddress, isPooled: boolean, closing: (() => unknown)[]) {
  const open = (at = address) => openConnection({ kind: 'server', address: at, poolSize: 4 }, isPooled, observer)
  const opener = createPrimaryOpener<OpenConnection>({
    addresses: [address, { ...address, port: await freePort() }],
    openProbe: open,
    responds: async () => true,
    onStale() {},
    readPrimary: () => Promise.reject(new Error('not read')),
    now: () => performance.now(),
  })
  closing.push(opener.close)
  const fill = async () => {
    for (;;) closing.push((await opener.open(open)).end)
  }
  const failure = databaseFailure(await fill().catch((error) => error))
  return { failure, primary: opener.current() }
}
