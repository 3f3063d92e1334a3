import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { scanSql } from '../../../src/db/audit/search.ts'
import { type EventCriteria, narrowingOf, readsByTime, type ScanIndex } from '../../../src/db/audit/searchSql.ts'
import { searchEvents } from '../../../src/domain/history/search.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { fill } from './auditLog.ts'

const size = Number(process.env.EVENT_PLAN_ROWS ?? 100_000)
/** The most rows that a node of a plan may pass on: those collected or examined, and a few. */
const mostRows = 20_100

interface Plan {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Plan[]
}

const id = (digit: number) => `${digit}`.repeat(8).concat('-0000-4000-8000-000000000000')
const [busy, former, unknown] = [id(1), id(2), id(3)]

let application: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  // What is rare is also old: the end of the log has nothing of it.
  await fill(application, size, {
    type: "CASE WHEN i < 50 THEN 'user.deleted' WHEN i % 3 = 0 THEN 'logout' ELSE 'login.succeeded' END",
    by: `CASE WHEN i < 40 THEN '${former}' WHEN i % 2 = 0 THEN '${busy}' END`,
    about: `CASE WHEN i BETWEEN 20 AND 60 THEN '${former}' WHEN i % 5 = 0 THEN '${busy}' END`,
    outcome: "CASE WHEN i < 30 THEN 'refused' ELSE 'done' END",
    time: "timestamptz '2026-01-01T00:00:00Z' + i * interval '1 second'",
  })
})
afterAll(() => application.close())

const time = (second: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + second * 1000)
const times: readonly Pick<EventCriteria, 'since' | 'until'>[] = [
  {},
  { since: time(size - 100) },
  { until: time(100) },
  { since: time(size / 2), until: time(size / 2 + 60) },
  { since: time(0), until: time(size) },
  { since: time(size * 2) },
]
const narrow: readonly EventCriteria[] = [
  {},
  { type: 'user.deleted' },
  { type: 'no.such' },
  { type: 'logout' },
  { outcome: 'refused' },
  { outcome: 'done' },
  { by: former },
  { by: unknown },
  { about: former },
  { of: busy },
  { of: former },
  { of: unknown },
  { of: former, type: 'logout', outcome: 'done' },
  { of: busy, type: 'user.deleted' },
  { by: busy, about: former },
  { by: former, outcome: 'refused', from: 10, below: size },
  { from: size - 10 },
  { below: 10 },
]
const combinations = times
  .flatMap((range) => narrow.map((criteria) => ({ ...criteria, ...range })))
  .map((criteria) => [JSON.stringify(criteria), criteria] as const)

function* nodesOf(plan: Plan): Generator<Plan> {
  yield plan
  for (const child of plan.Plans ?? []) yield* nodesOf(child)
}

describe(`a search of ${size} audit events`, () => {
  test.each(combinations)('for %s reads an index, and few records', async (_name, criteria) => {
    const indexes: ScanIndex[] = [...narrowingOf(criteria), readsByTime(criteria) ? 'time' : 'index']
    // Those that the search would choose: a criterion of many records is not collected.
    const chosen = indexes.filter(
      (by) =>
        !readsByTime(criteria) ||
        by === 'time' ||
        [former, unknown, 'user.deleted', 'no.such', 'refused'].includes(String(criteria[by as 'type'])),
    )
    for (const by of chosen)
      for (const order of ['newest', 'oldest'] as const) {
        const { text, values } = scanSql({ criteria, by, order, after: undefined, limit: 51 })
        const literal = text.replaceAll(/\$(\d+)/g, (_, number) => `'${values[Number(number) - 1]}'`)
        const [row] = await application.sql(`EXPLAIN (ANALYZE, FORMAT JSON) ${literal}`)
        const plans = (
          typeof row?.['QUERY PLAN'] === 'string' ? JSON.parse(row['QUERY PLAN']) : row?.['QUERY PLAN']
        ) as { Plan: Plan }[]
        for (const node of nodesOf(plans[0]?.Plan as Plan)) {
          const rows = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
          expect([by, order, node['Node Type'], rows <= mostRows]).toEqual([by, order, node['Node Type'], true])
          if (node['Relation Name']) expect(node['Node Type']).toMatch(/^(Index|Bitmap)/)
        }
      }
  })

  test.each(combinations)('for %s finds what a scan of the table finds', async (_name, criteria) => {
    const found = await searchEvents(application.deps, { criteria, order: 'newest' }, { limit: 51, after: undefined })
    const conditions = [
      criteria.since && `time >= '${criteria.since.toISOString()}'`,
      criteria.until && `time < '${criteria.until.toISOString()}'`,
      criteria.type && `type = '${criteria.type}'`,
      criteria.outcome && `outcome = '${criteria.outcome}'`,
      criteria.by && `by_id = '${criteria.by}'`,
      criteria.about && `about_id = '${criteria.about}'`,
      criteria.of && `(by_id = '${criteria.of}' OR about_id = '${criteria.of}')`,
      criteria.from !== undefined && `index >= ${criteria.from}`,
      criteria.below !== undefined && `index < ${criteria.below}`,
    ].filter(Boolean)
    const rows = await application.sql(`SELECT index::text AS index FROM audittrail_audit_events
      WHERE ${['true', ...conditions].join(' AND ')} ORDER BY audittrail_audit_events.index DESC LIMIT 51`)
    expect(found.events.map(({ index }) => index)).toEqual(rows.map(({ index }) => Number(index)))
  })
})
