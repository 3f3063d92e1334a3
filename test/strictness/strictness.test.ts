import { expect, test } from 'bun:test'
import { serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { runRounds } from './rounds.ts'

/** `bun run test:strictness` has 10,000 rounds. */
const rounds = Number(process.env.STRICTNESS_ROUNDS ?? 220)
const password = 'a long enough pass phrase'

test('a revocation on one of two replicas holds for every later request on both, under 64 concurrent clients', async () => {
  const environment = {
    DATABASE_URL: await createDatabase(),
    SECRET_KEY: 'k'.repeat(32),
    ADMIN_PASSWORD: password,
    // Low-cost hashes: this test is about sessions.
    PASSWORD_MEMORY_KIB: '8192',
    PASSWORD_TIME_COST: '1',
    LOG_REQUESTS: 'off',
  }
  const replicas = [await serve({ environment }), await serve({ environment })] as const
  const outcome = await runRounds([replicas[0].url, replicas[1].url], rounds, password).finally(() =>
    Promise.all(replicas.map((replica) => replica.stop())),
  )
  const { earlier, later, abandoned, violations } = outcome
  console.log(
    `strictness: ${outcome.rounds} rounds (${abandoned} more ended by 503), ${earlier} requests before a revocation and ${later} after, ${violations.length} of these accepted`,
  )
  expect(violations).toEqual([])
  expect(outcome.rounds).toBeGreaterThanOrEqual(rounds)
}, 1_800_000)
