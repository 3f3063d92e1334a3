import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'

const ticksPerSecond = 100

/** Returns the resident memory of a process in MB of 2^20 bytes. */
export function residentMegabytes({ pid }: ChildProcess): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/**
 * Returns the peak memory of a process in MB so far, NaN once it has ended. The peak that `wait4`
 * reports is no use: it includes the process that has started it.
 */
export function peakMemoryOf(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
  } catch {
    return Number.NaN
  }
}

/** Returns the peak of the resident memory during `work`, sampled five times a second. */
export async function peakDuring(child: ChildProcess, work: Promise<unknown>): Promise<number> {
  let peak = 0
  const sample = () => {
    peak = Math.max(peak, residentMegabytes(child))
  }
  const timer = setInterval(sample, 200)
  await work.finally(() => clearInterval(timer))
  sample()
  return peak
}

/**
 * Returns a function that returns how many cores programs outside of this benchmark have used
 * since. Undefined where there is no /proc.
 */
export function watchOtherLoad(): () => number | undefined {
  const read = () => ({ others: busyTicks() - ticksOf(process.pid), at: performance.now() })
  try {
    const before = read()
    return () => {
      const after = read()
      const ticks = Math.max(0, after.others - before.others)
      return ticks / ticksPerSecond / ((after.at - before.at) / 1000)
    }
  } catch {
    return () => undefined
  }
}

/** All cores: user, nice, system, irq and softirq of proc_stat(5). */
function busyTicks(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.split(/\s+/).map(Number) ?? []
  return [1, 2, 3, 6, 7].reduce((sum, index) => sum + (fields[index] ?? 0), 0)
}

/** Returns the CPU time of a process and its descendants, ended ones included, in microseconds. */
export function cpuMicroseconds(id: number): number {
  return (ticksOf(id) / ticksPerSecond) * 1e6
}

function ticksOf(root: number): number {
  const children = new Map<number, { readonly id: number; readonly ticks: number }[]>()
  let total = 0
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const fields = statOf(name)
    if (!fields) continue
    // Fields 4 and 14 to 17 of proc_pid_stat(5).
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0)
    if (Number(name) === root) total += ticks
    const parent = Number(fields[1])
    children.set(parent, [...(children.get(parent) ?? []), { id: Number(name), ticks }])
  }
  const add = (parent: number): void => {
    for (const { id, ticks } of children.get(parent) ?? []) {
      total += ticks
      add(id)
    }
  }
  add(root)
  return total
}

function statOf(id: string): string[] | undefined {
  try {
    return readFileSync(`/proc/${id}/stat`, 'utf8').split(') ').at(-1)?.split(' ')
  } catch {
    return undefined
  }
}

/**
 * Returns whether this virtual machine gives freed blocks of 2 MiB back to its host. Getting them
 * back is slow, and each hash frees its memory, so sign-ins and concurrent requests slow down.
 */
export function givesMemoryBack(file = '/sys/module/page_reporting/parameters/page_reporting_order'): boolean {
  try {
    // The order without a device is -1, unsigned.
    return Number(readFileSync(file, 'utf8')) <= 9
  } catch {
    return false
  }
}

export function describeMachine(): string {
  return `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch}, Bun ${Bun.version}`
}
