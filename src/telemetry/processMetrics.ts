import { readdir, readFile } from 'node:fs/promises'
import { version } from '../version.ts'
import type { MetricsRegistry } from './registry.ts'

/** Milliseconds between two checks of the event loop. */
const tick = 100
const delayBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/**
 * Registers the process metrics, with the names of Prometheus' own clients, and the delay of the
 * event loop, which every request waits for. Returns a function that stops them.
 */
export function observeProcess({ observable, histogram }: MetricsRegistry): () => void {
  observable('gauge', 'audittrail_build_info', 'The running version. Always 1.', () => 1, { version, bun: Bun.version })
  observable('gauge', 'process_start_time_seconds', 'Start time of the process, in seconds since 1970.', startTime)
  observable('counter', 'process_cpu_seconds_total', 'User and system CPU time in seconds.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  observable('gauge', 'process_resident_memory_bytes', 'Resident memory in bytes.', () => process.memoryUsage.rss())
  observable('gauge', 'process_open_fds', 'Number of open file descriptors.', countOpenFiles)
  observable('gauge', 'process_max_fds', 'Maximum number of open file descriptors.', readMaxFiles)
  return watchEventLoop(
    histogram('audittrail_event_loop_delay_seconds', 'Delay of timers in the event loop.', delayBounds)().observe,
  )
}

const began = Date.now() / 1000 - process.uptime()

function startTime(): number {
  return began
}

/** Returns undefined outside Linux. */
async function countOpenFiles(): Promise<number | undefined> {
  // One of them is this directory while it is read.
  return process.platform === 'linux' ? (await readdir('/proc/self/fd')).length - 1 : undefined
}

async function readMaxFiles(): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined
  const most = /^Max open files +(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1]
  return most === undefined ? undefined : Number(most)
}

function watchEventLoop(observe: (seconds: number) => void): () => void {
  let expectedAt = performance.now() + tick
  const timer = setInterval(() => {
    const now = performance.now()
    observe(Math.max(0, now - expectedAt) / 1000)
    expectedAt = now + tick
  }, tick)
  timer.unref()
  return () => clearInterval(timer)
}
