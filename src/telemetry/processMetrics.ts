import { readdir, readFile } from 'node:fs/promises'
import { version } from '../version.ts'
import type { MetricsRegistry } from './registry.ts'

/** Milliseconds between two looks at the event loop. */
const tick = 100
const delayBounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/**
 * What every process has, under the names that Prometheus' own clients use, and how late the event loop is: whatever it is late by,
 * everybody who is being answered waits. Answers how to stop looking.
 */
export function observeProcess({ observable: reading, histogram }: MetricsRegistry): () => void {
  reading('gauge', 'audittrail_build_info', 'What is running; always 1.', () => 1, { version, bun: Bun.version })
  reading('gauge', 'process_start_time_seconds', 'When the process began, in seconds since 1970.', startTime)
  reading('counter', 'process_cpu_seconds_total', 'Processor time that was used.', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  reading('gauge', 'process_resident_memory_bytes', 'Memory that is resident.', () => process.memoryUsage.rss())
  reading('gauge', 'process_open_fds', 'File descriptors that are open.', countOpenFiles)
  reading('gauge', 'process_max_fds', 'File descriptors that may be open.', readMostFiles)
  return watchEventLoop(
    histogram('audittrail_event_loop_delay_seconds', 'How late a timer was.', delayBounds)().observe,
  )
}

const began = Date.now() / 1000 - process.uptime()

function startTime(): number {
  return began
}

/** Undefined where the system (all but Linux) does not say. */
async function countOpenFiles(): Promise<number | undefined> {
  // One of them is the directory itself, while it is read.
  return process.platform === 'linux' ? (await readdir('/proc/self/fd')).length - 1 : undefined
}

async function readMostFiles(): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined
  const most = /^Max open files +(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'))?.[1]
  return most === undefined ? undefined : Number(most)
}

function watchEventLoop(observe: (seconds: number) => void): () => void {
  let due = performance.now() + tick
  const timer = setInterval(() => {
    const now = performance.now()
    observe(Math.max(0, now - due) / 1000)
    due = now + tick
  }, tick)
  timer.unref()
  return () => clearInterval(timer)
}
