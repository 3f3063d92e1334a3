import { spawn } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'
import { freePort } from '../postgresqlServer.ts'

export const deploy = join(import.meta.dir, '../../deploy')

export interface Prometheus {
  /** Returns the `data` of an API response: `query?query=up`. */
  ask<Data>(path: string): Promise<Data>
  stop(): Promise<void>
}

/**
 * Starts Prometheus from the shipped files, with `target` instead of the example's, scraping every
 * second.
 */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const directory = temporaryDirectory('prometheus')
  const shipped = readFileSync(join(deploy, 'prometheus/prometheus.yml'), 'utf8')
  const changed = shipped
    .replace('127.0.0.1:9464', target)
    .replaceAll('_interval: 15s', '_interval: 1s')
    .replace('- alerts.yml', `- ${join(deploy, 'prometheus/alerts.yml')}`)
  writeFileSync(join(directory, 'prometheus.yml'), changed)
  const port = await freePort()
  const child = spawn(
    'prometheus',
    [
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const keep = atEndOfFile(() => child.kill('SIGKILL'))
  for (let attempt = 0; !(await isReady(port)); attempt++) {
    if (child.exitCode !== null || attempt > 600) throw new Error(`Prometheus does not start: ${errors}`)
    await Bun.sleep(100)
  }
  return {
    ask: async <Data>(path: string) => {
      const answer = (await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json()) as {
        data: Data
        error?: string
      }
      if (answer.error) throw new Error(`${path}: ${answer.error}`)
      return answer.data
    },
    stop: async () => {
      keep()
      child.kill('SIGTERM')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/-/ready`).then(
    ({ status }) => status === 200,
    () => false,
  )
}
