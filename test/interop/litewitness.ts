import { Database } from 'bun:sqlite'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { until } from '../condition.ts'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'
import { freePort } from '../postgresqlServer.ts'
import { programs } from './tools.ts'

/** A witness, with its own key in its own agent. */
export interface Litewitness {
  readonly url: string
  readonly vkey: string
  /** Lets it cosign the log with this key. */
  register(logKey: string): void
  /** Returns the size that it has cosigned. */
  sizeOf(origin: string): number
  stop(): void
}

export async function startLitewitness(name: string): Promise<Litewitness> {
  const directory = temporaryDirectory('witness')
  const key = join(directory, 'key')
  const socket = join(directory, 'agent.sock')
  const database = join(directory, 'litewitness.db')
  const output = { text: '' }
  const children: ChildProcess[] = []
  const start = (program: string, args: readonly string[]) => {
    const child = spawn(program, args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] })
    child.stderr?.on('data', (chunk) => {
      output.text += chunk
    })
    child.once('error', (error) => {
      output.text += error
    })
    children.push(child)
  }
  const stop = () => {
    for (const child of children) child.kill()
  }
  atEndOfFile(stop)
  call('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  start('ssh-agent', ['-D', '-a', socket])
  await until(() => spawnSync('ssh-add', [key], { env: { ...process.env, SSH_AUTH_SOCK: socket } }).status === 0)
  const fingerprint = call('ssh-keygen', ['-lf', `${key}.pub`]).split(' ')[1] ?? ''
  const listen = `127.0.0.1:${await freePort()}`
  start(join(programs, 'litewitness'), [
    `-name=${name}`,
    `-db=${database}`,
    `-ssh-agent=${socket}`,
    `-key=${fingerprint}`,
    `-listen=${listen}`,
  ])
  const vkeyIn = (text: string) => /vkey=(\S+)/.exec(text)?.[1]
  await until(() => vkeyIn(output.text) !== undefined)
  await until(() =>
    fetch(`http://${listen}/`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  const withDatabase = <T>(work: (opened: Database) => T): T => {
    const opened = new Database(database)
    try {
      return work(opened)
    } finally {
      opened.close()
    }
  }
  return {
    url: `http://${listen}`,
    vkey: vkeyIn(output.text) ?? '',
    register: (logKey) =>
      withDatabase((opened) => {
        const origin = logKey.slice(0, logKey.indexOf('+'))
        const empty = Buffer.from(Bun.SHA256.hash('') as Uint8Array).toString('base64')
        opened.run('INSERT OR IGNORE INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)', [origin, empty])
        opened.run('INSERT INTO key (origin, key) VALUES (?, ?)', [origin, logKey])
      }),
    sizeOf: (origin) =>
      withDatabase((opened) => {
        const row = opened.query('SELECT tree_size FROM log WHERE origin = ?').get(origin)
        return Number((row as { readonly tree_size?: number } | null)?.tree_size ?? 0)
      }),
    stop,
  }
}

function call(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} failed: ${stderr}`)
  return stdout
}
