import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run, type Server, serve, start } from '../binary/binary.ts'
import { createTestWitness } from '../domain/witnesses/testWitness.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'
import { deploy, type Prometheus, startPrometheus } from './prometheus.ts'

const hasPromtool = hasProgram('promtool', 'prometheus')
const hasPrometheus = hasProgram('prometheus', 'prometheus')
const alerts = readFileSync(join(deploy, 'prometheus/alerts.yml'), 'utf8')
const operations = readFileSync(join(deploy, '../docs/operations.md'), 'utf8')

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly targets?: readonly { readonly expr: string; readonly refId: string; readonly datasource: unknown }[]
}

interface Variable {
  readonly name: string
  readonly type: string
}

const dashboard = JSON.parse(readFileSync(join(deploy, 'grafana/audittrail.json'), 'utf8')) as {
  uid: string
  title: string
  schemaVersion: number
  templating: { list: Variable[] }
  annotations: { list: { expr: string }[] }
  panels: Panel[]
}
const expressions = [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.map(({ expr }) => expr),
]

/** Returns the series that a query uses. */
function metricsIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:audittrail|process)_[a-z_]+\b/g))].toSorted()
}

function promtool(args: readonly string[], input = ''): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8', cwd: join(deploy, '..') })
  return { code: status, output: stdout + stderr }
}

/** Returns the address at which a server says it serves Prometheus. */
function metricsUrl({ output }: Pick<Server, 'output'>): string {
  return /"event":"metrics\.listening","url":"([^"]+)"/.exec(output.stdout)?.[1] ?? ''
}

const environment = async () => ({
  DATABASE_URL: await createDatabase(),
  SECRET_KEY: 'k'.repeat(32),
  METRICS: '127.0.0.1:0',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
})

describe('METRICS', () => {
  let server: Server
  beforeAll(async () => {
    server = await serve({ environment: await environment() })
  })
  afterAll(async () => {
    await server.stop()
  })

  test('serves Prometheus at an address of its own, which the public listener does not expose', async () => {
    const answer = await fetch(metricsUrl(server))
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await answer.text()).toContain('\naudittrail_ready 1\n')
    for (const path of ['/metrics', '/api/metrics']) expect((await fetch(`${server.origin}${path}`)).status).toBe(404)
  })

  test('serves only GET and HEAD of /metrics', async () => {
    const url = metricsUrl(server)
    const ask = async (path: string, method: string) => {
      const { status, headers } = await fetch(new URL(path, url), { method })
      return [status, headers.get('allow')]
    }
    expect(await ask('/metrics', 'HEAD')).toEqual([200, null])
    expect(await ask('/metrics?x=1', 'GET')).toEqual([200, null])
    expect(await ask('/metrics', 'POST')).toEqual([405, 'GET, HEAD'])
    for (const path of ['/', '/metrics/', '/api/health', '/bun:info', '/metrics%00'])
      expect(await ask(path, 'GET')).toEqual([404, null])
  })

  test('with a port in use ends the start with one line and exit code 1', async () => {
    const taken = new URL(metricsUrl(server)).host
    const { code, stderr } = await run([], { environment: { ...(await environment()), PORT: '0', METRICS: taken } })
    expect(stderr).toBe(
      `audittrail: Port ${taken.split(':')[1]} on 127.0.0.1 is already in use. Stop the other program, or set METRICS to another address.\n`,
    )
    expect(code).toBe(1)
  })

  test('with an invalid address ends the start with one line and exit code 2', async () => {
    const { code, stderr } = await run([], { environment: { METRICS: 'on' } })
    expect(stderr).toBe(
      'audittrail: METRICS must be off or ADDRESS:PORT, such as 127.0.0.1:9464 or [::1]:9464 (got "on").\n',
    )
    expect(code).toBe(2)
  })

  test('is served while the database is unreachable, and says so', async () => {
    const away = { ...(await environment()), DATABASE_URL: 'postgresql://nobody@127.0.0.1:9/nothing' }
    const running = start({ environment: { ...away, HOST: '127.0.0.1', PORT: '0' } })
    while (metricsUrl(running) === '') await Bun.sleep(20)
    const read = async () => (await fetch(metricsUrl(running))).text()
    while (!(await read()).includes('\naudittrail_ready ')) await Bun.sleep(20)
    const text = await read()
    expect(text).toContain('\naudittrail_ready 0\n')
    expect(text).toContain('\naudittrail_database_up 0\n')
    expect(text).toMatch(/\naudittrail_database_failures_total\{kind="unavailable"\} [1-9]/)
    running.process.kill('SIGTERM')
    expect((await running.finished).code).toBe(0)
  })

  test.skipIf(!hasPromtool)('passes promtool check metrics', async () => {
    const text = await (await fetch(metricsUrl(server))).text()
    expect(promtool(['check', 'metrics'], text)).toEqual({ code: 0, output: '' })
  })
})

describe('the shipped Prometheus files', () => {
  test.skipIf(!hasPromtool)('pass promtool', () => {
    expect(promtool(['check', 'config', 'deploy/prometheus/prometheus.yml']).code).toBe(0)
    expect(promtool(['check', 'rules', 'deploy/prometheus/alerts.yml']).code).toBe(0)
    expect(promtool(['test', 'rules', 'test/deploy/alerts.test.yml'])).toMatchObject({ code: 0 })
  })

  test('link each alert to the part of docs/operations.md that handles it', () => {
    const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name)
    expect(names.length).toBeGreaterThan(10)
    const runbooks = [...alerts.matchAll(/runbook: docs\/operations\.md#(\w+)/g)].map(([, anchor]) => anchor)
    expect(runbooks).toEqual(names.map((name) => name.toLowerCase()))
    const sections = [...operations.matchAll(/^#+ (\w+)$/gm)].map(([, heading = '']) => heading)
    expect(sections.filter((heading) => heading.startsWith('AuditTrail'))).toEqual(names)
  })
})

describe('the dashboard', () => {
  test('is valid for Grafana: unique ids, panels that do not overlap, one data source variable', () => {
    expect(dashboard).toMatchObject({ uid: 'audittrail', title: 'AuditTrail', schemaVersion: expect.any(Number) })
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(dashboard.panels.every(({ gridPos: { x, w } }) => x >= 0 && x + w <= 24)).toBe(true)
    expect(dashboard.templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ])
    for (const { type, targets = [] } of dashboard.panels) {
      expect(['row', 'stat', 'timeseries']).toContain(type)
      expect(targets.length > 0).toBe(type !== 'row')
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
      for (const { datasource } of targets) expect(datasource).toEqual({ type: 'prometheus', uid: `$\{datasource}` })
    }
  })
})

describe.skipIf(!(hasPrometheus && hasPromtool))('a real Prometheus', () => {
  let server: Server
  let prometheus: Prometheus
  beforeAll(async () => {
    const directory = temporaryDirectory('metrics')
    const policy = join(directory, 'policy')
    writeFileSync(policy, `witness w ${createTestWitness('w', 1).vkey} http://127.0.0.1:9/\nquorum w\n`)
    const files = { AUDIT_WITNESSES: policy, AUDIT_CHECKPOINT_FILE: join(directory, 'checkpoints') }
    server = await serve({ environment: { ...(await environment()), ...files } })
    prometheus = await startPrometheus(new URL(metricsUrl(server)).host)
    await useEverything(server.url)
    await untilScraped()
  })
  afterAll(async () => {
    await prometheus.stop()
    await server.stop()
  })

  const valuesOf = async (query: string) => {
    const { result } = await prometheus.ask<{ result: { value: [number, string] }[] }>(
      `query?query=${encodeURIComponent(query)}`,
    )
    return result.map(({ value }) => value[1])
  }
  /** Waits for three scrapes after the traffic, so that rates exist. */
  const untilScraped = async () => {
    const scrapes = async () =>
      Number((await valuesOf('count_over_time(audittrail_logins_total{outcome="succeeded"}[1h])'))[0])
    const before = (await scrapes()) || 0
    while (!((await scrapes()) >= before + 3)) await Bun.sleep(200)
  }

  test('discovers the service and finds every rule healthy', async () => {
    expect(await valuesOf('up{job="audittrail"}')).toEqual(['1'])
    const { groups } = await prometheus.ask<{ groups: { rules: { name: string; health: string; state: string }[] }[] }>(
      'rules',
    )
    const rules = groups.flatMap((group) => group.rules)
    expect(rules.map(({ health }) => health)).toEqual(rules.map(() => 'ok'))
    expect(rules).toHaveLength(alerts.match(/- alert:/g)?.length ?? 0)
    const ringing = rules.filter(({ state }) => state === 'firing').map(({ name }) => name)
    expect(ringing).toEqual([])
  })

  test('has every series used by an alert or the dashboard', async () => {
    const known = new Set(await prometheus.ask<string[]>('label/__name__/values'))
    const asked = metricsIn(`${alerts.replaceAll(/#.*$/gm, '')} ${expressions.join(' ')}`)
    expect(asked.length).toBeGreaterThan(20)
    expect(asked.filter((name) => !known.has(name))).toEqual([])
  })

  test('returns data for every query of the dashboard', async () => {
    const empty: string[] = []
    for (const expression of expressions) {
      const query = expression.replaceAll(/\$job|\$instance/g, '.*').replaceAll('$__rate_interval', '1m')
      if ((await valuesOf(query)).length === 0) empty.push(expression)
    }
    // No counter has restarted.
    expect(empty).toEqual(expressions.filter((expression) => expression.startsWith('changes(process_start_time')))
  })
})

/** Produces a little of everything that is counted. */
async function useEverything(url: string): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const password of ['changeme', 'wrong']) {
      const body = new URLSearchParams({ username: 'admin', password })
      const { access_token: token } = (await (await fetch(`${url}/auth/login`, { method: 'POST', body })).json()) as {
        access_token?: string
      }
      await fetch(`${url}/auth/me`, { headers: { authorization: `Bearer ${token}` } })
    }
    await fetch(`${url}/auth/refresh`, { method: 'POST', body: new URLSearchParams({ refresh_token: 'atr_x' }) })
    await Bun.sleep(1100)
  }
}
