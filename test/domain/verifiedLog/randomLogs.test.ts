import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { recordAlone } from '../../../src/domain/audit/audited.ts'
import type { PreparedEvent, Recorder } from '../../../src/domain/audit/recorder.ts'
import { acceptRestored } from '../../../src/domain/audit/restored.ts'
import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import type { Deps } from '../../../src/domain/deps.ts'
import { ensureSigningKey } from '../../../src/domain/keys/signingKeys.ts'
import { erasePerson } from '../../../src/domain/retention/erasePerson.ts'
import { finishPruning } from '../../../src/domain/retention/finishPruning.ts'
import { planPruning } from '../../../src/domain/retention/planPruning.ts'
import type { SecretKeys } from '../../../src/secretKeys.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'
import { verifyOnce } from './incremental.ts'

const hour = 3_600_000

/** A linear congruential generator, so that a failure can be repeated by its seed. */
function randomOf(seed: number) {
  let state = seed
  return (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
}

const rehashed = { event: { event: 'password.rehashed', username: 'admin' } } as const

/**
 * Processes that record events, in and out of order, some of which are lost, on a log that changes.
 */
function createLife(application: TestApplication, seed: number) {
  const random = randomOf(seed)
  let secretKeys: SecretKeys = { current: application.secretKey, previous: [] }
  const open = () => openReplica(application, { secretKeys }).deps
  let servers: Deps[] = [open(), open()]
  const held: { readonly audit: Recorder; readonly event: PreparedEvent }[] = []
  const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T
  const insert = async ({ audit, event }: (typeof held)[number]) => {
    await application.deps.database.audit.insertEvent(event.row)
    audit.settle([event], 'committed')
  }
  const actions: Record<string, () => Promise<unknown>> = {
    record: async () => {
      for (let count = random(40); count >= 0; count--) await recordAlone(pick(servers), rehashed)
    },
    command: async () => {
      const deps = open()
      for (let count = random(3); count >= 0; count--) await recordAlone(deps, rehashed)
    },
    hold: async () => {
      const { audit } = pick(servers)
      held.push({ audit, event: audit.prepare(rehashed, undefined) })
    },
    release: async () => {
      const [released] = held.splice(random(held.length || 1), 1)
      if (released) await insert(released)
    },
    lose: async () => {
      const { audit } = pick(servers)
      const lost = [audit.prepare(rehashed, undefined), audit.prepare(rehashed, undefined)]
      audit.settle(lost, pick(['lost', 'unsure'] as const))
    },
    replace: async () => {
      servers = [...servers.slice(1), open()]
    },
    sequence: () => createSequencer(pick(servers), true).run(),
    stranger: () => application.login('erin', 'wrong password'),
    erase: async () => {
      await application.login('admin', 'wrong password')
      await erasePerson(application.deps, 'test', 'admin')
    },
    prune: async () => {
      const { size } = await application.deps.database.audit.readHead((width) => [width % 256])
      await planPruning(pick(servers), 'test', { below: random(size + 1) })
    },
    finish: () => finishPruning(pick(servers)),
    rotate: async () => {
      const next = randomBytes(32).toString('hex')
      secretKeys = { current: next, previous: [secretKeys.current, ...secretKeys.previous].slice(0, 8) }
      for (const event of held.splice(0)) await insert(event)
      servers = [open(), open()]
      await ensureSigningKey(pick(servers))
    },
    restore: async () => {
      await acceptRestored(pick(servers))
    },
    wait: async () => {
      // No event takes hours to be committed.
      for (const event of held.splice(0)) await insert(event)
      application.clock.now += random(30) * hour
    },
  }
  const weights = Object.keys(actions).flatMap((name) =>
    Array<string>(['record', 'command', 'hold', 'release', 'sequence'].includes(name) ? 5 : 1).fill(name),
  )
  return {
    random,
    done: [] as string[],
    verifier: () => pick(servers),
    async act(except: readonly string[] = []) {
      const name = pick(weights.filter((weighted) => !except.includes(weighted)))
      this.done.push(name)
      await actions[name]?.()
    },
    settle: () => actions.sequence?.(),
  }
}

describe.each(databaseKinds)('a log of random events on %s', (kind) => {
  let application: TestApplication
  beforeEach(async () => {
    application = await openTestApplication(kind)
  })
  afterEach(() => application.close())

  // The embedded database is slower, and what matters here is the same.
  const usual = kind === 'PostgreSQL' ? '1,2' : '3'
  const seeds = (process.env.AUDIT_SEEDS ?? usual).split(',').map(Number)
  test.each(seeds)('has no finding, however it is verified: %d', async (seed) => {
    const life = createLife(application, seed)
    const scopes = { new: 0, whole: 0 }
    for (let round = 0; round < 25; round++) {
      for (let count = life.random(12); count >= 0; count--) await life.act()
      await life.settle()
      const { scope, found } = await verifyOnce(life.verifier(), life.random(5) === 0 ? 'whole' : 'new')
      expect({ found, done: found.length > 0 ? life.done : [] }).toEqual({ found: [], done: [] })
      scopes[scope]++
    }
    expect(scopes.new).toBeGreaterThan(3)
    expect((await verifyOnce(life.verifier(), 'whole')).found).toEqual([])
  })

  test.each(seeds)('has no finding while it changes: %d', async (seed) => {
    const life = createLife(application, seed + 1000)
    for (let round = 0; round < 25; round++) {
      for (let count = life.random(6); count >= 0; count--) await life.act()
      let pages = 0
      // A new name or key of the log is confirmed by a second verification: see regular.ts.
      const act = async () => {
        if (pages++ % 2 === 0) await life.act(['rotate', 'restore'])
      }
      const { found } = await verifyOnce(life.verifier(), life.random(3) === 0 ? 'whole' : 'new', act)
      expect({ found, done: found.length > 0 ? life.done : [] }).toEqual({ found: [], done: [] })
    }
  })
})
