import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

const run = join(import.meta.dir, '../../deploy/ha/run.sh')

/** Starts a process of deploy/ha in the background; its output is appended to a file. */
export function startProcess(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  log: string,
): ChildProcess {
  const output = openSync(log, 'a')
  return spawn('sh', [run, ...args], { env: environment, stdio: ['ignore', output, output], detached: true })
}

/** The processes whose working directory is a directory or inside of it. */
export function processesIn(directory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((id) => {
      try {
        return `${readlinkSync(`/proc/${id}/cwd`)}/`.startsWith(`${directory}/`)
      } catch {
        return false
      }
    })
}

/** The command line of a process, which PostgreSQL's processes replace by their title. */
export function titleOf(id: number): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** Sends a signal to processes; those that have ended are skipped. */
export function signal(ids: readonly number[], name: NodeJS.Signals): void {
  for (const id of ids) {
    try {
      process.kill(id, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Kills what runs in a directory, without a chance to clean up, until nothing is left. */
export async function killAll(directory: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const ids = processesIn(directory).filter((id) => !isZombie(id))
    if (ids.length === 0) return
    signal(ids, 'SIGKILL')
    await Bun.sleep(25)
  }
  throw new Error(`processes in ${directory} do not end`)
}

function isZombie(id: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${id}/status`, 'utf8'))
  } catch {
    return true
  }
}

/** Resolves once a condition holds. Throws with the given words if it does not in time. */
export async function until(what: string, seconds: number, holds: () => Promise<boolean> | boolean): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`)
    await Bun.sleep(100)
  }
}
