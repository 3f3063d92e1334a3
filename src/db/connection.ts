import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import type { DatabaseAddress } from '../databaseUrl.ts'
import { AppError } from '../error.ts'

export type Client = postgres.Sql
export type Orm = PostgresJsDatabase

/** Where the database is: a server somewhere, or the one in this process, reached through a stream of its own. */
export type DatabaseTarget =
  | { readonly kind: 'server'; readonly address: DatabaseAddress; readonly poolSize: number }
  | { readonly kind: 'embedded'; readonly socket: () => Promise<Duplex> }

export interface Connection {
  readonly target: DatabaseTarget
  readonly client: Client
  readonly orm: Orm
}

/** Seconds to wait for a connection before the database counts as unreachable. */
const connectTimeout = 5
/** Seconds between attempts to connect. */
const reconnectDelay = 0.2

/** A lazy pool: nothing is connected before the first statement. `max` narrows it for work that needs one session. */
export function connect(target: DatabaseTarget, max?: number): Connection {
  const client = postgres({
    ...(target.kind === 'server' ? serverOptions(target.address) : embeddedOptions(target.socket)),
    // One of them is for the requests' own question: see `openLane` in `database.ts`.
    max: target.kind === 'server' ? (max ?? Math.max(1, target.poolSize - 1)) : 1,
    connect_timeout: connectTimeout,
    // Its own default waits up to 20 s after a failure, long past the moment when the database is back.
    backoff: reconnectDelay,
    // Its query for array types would cost a round trip on each connection; Drizzle reads arrays by itself.
    fetch_types: false,
    onnotice: () => {},
    connection: { application_name: 'audittrail', ...startupOptions(target) },
    // Its types know neither hosts as arrays nor `socket`.
  } as unknown as postgres.Options<Record<string, never>>)
  return { target, client, orm: drizzle(client) }
}

/** libpq's `options`, which some providers use to route a connection. */
function startupOptions(target: DatabaseTarget): { options?: string } {
  return target.kind === 'server' && target.address.options !== undefined ? { options: target.address.options } : {}
}

function serverOptions(address: DatabaseAddress) {
  return {
    // As arrays, since postgres.js takes a text apart at its colons, which an IPv6 address has too.
    host: [address.host],
    port: [address.port],
    ...(address.socketDirectory ? { path: `${address.socketDirectory}/.s.PGSQL.${address.port}` } : {}),
    database: address.database,
    user: address.username,
    pass: address.password,
    ssl: tlsOptions(address),
  }
}

function embeddedOptions(socket: () => Promise<Duplex>) {
  return {
    host: ['embedded'],
    port: [0],
    database: 'postgres',
    user: 'postgres',
    ssl: false,
    socket,
    max_lifetime: null,
  }
}

/** libpq's meanings, which differ from those of postgres.js: `require` with a root certificate verifies the chain. */
function tlsOptions({ sslmode, sslrootcert }: DatabaseAddress): boolean | 'prefer' | 'require' | object {
  const ca = sslrootcert === undefined ? {} : { ca: readRootCertificate(sslrootcert) }
  if (sslmode === 'disable') return false
  if (sslmode === 'verify-full') return { rejectUnauthorized: true, ...ca }
  if (sslmode === 'verify-ca' || (sslmode === 'require' && sslrootcert !== undefined)) {
    return { rejectUnauthorized: true, checkServerIdentity: () => undefined, ...ca }
  }
  return sslmode === 'require' ? 'require' : 'prefer'
}

function readRootCertificate(path: string): string {
  try {
    const pem = readFileSync(path, 'utf8')
    new X509Certificate(pem)
    return pem
  } catch {
    throw new AppError(
      'refused',
      'The file that sslrootcert in DATABASE_URL names cannot be read, or holds no certificate in PEM: correct the path, its permissions or its contents.',
    )
  }
}
