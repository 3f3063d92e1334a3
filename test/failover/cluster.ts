import { chmodSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'
import { openPatroni, type Patroni } from './patroni.ts'
import { killAll, processesIn, signal, startProcess, titleOf } from './processes.ts'

/** Of a node: everything, PostgreSQL, Patroni, or what sends WAL to the standbys. */
export type Part = 'node' | 'postgresql' | 'patroni' | 'walSender'

export interface Cluster {
  readonly patroni: Patroni
  /** The addresses of the nodes; the first one is node 1. */
  readonly addresses: readonly string[]
  /** A URL of a role through the proxy, or of hosts. */
  url(where?: { readonly hosts?: readonly string[]; readonly role?: string }): string
  /** Kills PostgreSQL's first process on a node. */
  killPostgresql(node: number): void
  /** Kills everything on a node at once: PostgreSQL, Patroni and etcd. */
  lose(node: number): Promise<void>
  /** Starts what a lost node ran. */
  restore(node: number): void
  /** Stops the processes of a part. The result continues them. */
  freeze(node: number, part: Part): () => void
  stop(): Promise<void>
}

interface ClusterOptions {
  /** Two or three. */
  readonly databases?: number
  /** Changes of Patroni's configuration. */
  readonly settings?: Readonly<Record<string, unknown>>
}

const password = 'ledger'

/** The directory of Patroni and etcd from PyPI. */
export const environmentDirectory = process.env.FAILOVER_VENV ?? '/opt/audittrail-ha'

/** Starts the processes of deploy/ha on loopback addresses that are free. */
export async function startCluster({ databases = 2, settings = {} }: ClusterOptions = {}): Promise<Cluster> {
  const network = await freeNetwork()
  const state = temporaryDirectory('ha')
  chmodSync(state, 0o755)
  const environment = {
    PATH: `${environmentDirectory}/bin:${process.env.PATH}`,
    POSTGRES_PASSWORD: password,
    STATE_DIRECTORY: state,
    NODES: `${network}.`,
    PROXY_LISTEN: `${network}.10`,
  }
  const logOf = (name: string) => join(state, `${name}.log`)
  const startStore = (node: number) =>
    startProcess(['etcd', String(node), '--unsafe-no-fsync'], environment, logOf(`etcd${node}`))
  const startDatabase = (node: number) =>
    startProcess(['database', String(node)], environment, logOf(`database${node}`))
  const nodes = Array.from({ length: databases }, (_, at) => at + 1)
  const addresses = nodes.map((node) => `${network}.${node}`)
  const patroni = openPatroni(addresses, () => settings.synchronous_mode !== false)

  const killNow = () => signal(processesIn(state), 'SIGKILL')
  const keep = atEndOfFile(killNow)
  for (const store of [1, 2, 3]) startStore(store)
  for (const node of nodes) startDatabase(node)
  startProcess(['proxy'], environment, logOf('proxy'))
  const stop = async () => {
    await killAll(state)
    keep()
    rmSync(state, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    await configureAtStart(patroni, settings)
    await patroni.untilHealthy()
  } catch (error) {
    const logs = nodes.map((node) => readFileSync(logOf(`database${node}`), 'utf8').slice(-2000))
    await stop()
    throw new Error(`the cluster did not start:\n${logs.join('\n')}`, { cause: error })
  }

  return {
    patroni,
    addresses,
    stop,
    url: ({ hosts = [`${network}.10`], role = 'audittrail' } = {}) =>
      `postgresql://${role}:${password}@${hosts.join(',')}/audittrail?sslmode=disable`,
    killPostgresql: (node) => {
      const [id = ''] = readFileSync(join(state, `database${node}/data/postmaster.pid`), 'utf8').split('\n')
      signal([Number(id)], 'SIGKILL')
    },
    lose: async (node) => {
      await Promise.all([killAll(join(state, `database${node}`)), killAll(join(state, `etcd${node}`))])
    },
    restore: (node) => {
      startStore(node)
      startDatabase(node)
    },
    freeze: (node, part) => {
      const ids = processesOf(join(state, `database${node}`), part)
      signal(ids, 'SIGSTOP')
      return () => signal(ids, 'SIGCONT')
    },
  }
}

async function configureAtStart(patroni: Patroni, settings: Readonly<Record<string, unknown>>): Promise<void> {
  await patroni.untilReplaced(0, 120)
  if (Object.keys(settings).length > 0) await patroni.configure(settings)
}

function processesOf(directory: string, part: Part): number[] {
  const postgresql = processesIn(join(directory, 'data'))
  if (part === 'postgresql') return postgresql
  if (part === 'walSender') return postgresql.filter((id) => titleOf(id).includes('walsender'))
  const all = processesIn(directory)
  return part === 'node' ? all : all.filter((id) => !postgresql.includes(id))
}

/** The first of 127.0.1 to 127.0.9 on which none of our ports is in use. */
async function freeNetwork(): Promise<string> {
  const ports = [2379, 2380, 5432, 8008]
  for (let third = 1; third < 10; third++) {
    const addresses = [1, 2, 3, 10].map((node) => `127.0.${third}.${node}`)
    const free = await Promise.all(addresses.flatMap((address) => ports.map((port) => isFree(address, port))))
    if (free.every(Boolean)) return `127.0.${third}`
  }
  throw new Error(`ports ${ports.join(', ')} are in use on 127.0.1.1 to 127.0.9.10: stop what uses them`)
}

function isFree(address: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = createServer()
  probe.once('error', () => resolve(false))
  probe.listen(port, address, () => probe.close(() => resolve(true)))
  return promise
}
