import { describe, expect, test } from 'bun:test'
import { recordBaseline } from '../../../src/domain/accountVerification/baseline.ts'
import { importUsers } from '../../../src/domain/import/importUsers.ts'
import { changeUser, createUser, deleteUser, listUsers, resetPassword } from '../../../src/domain/users/users.ts'
import { AppError } from '../../../src/error.ts'
import { databaseKinds, type TestApplication } from '../../application.ts'
import { notesOf, problemsOf } from '../auditProblems.ts'
import { type AccountLog, by, openAccountLog, password } from './accountLog.ts'

/** More for a longer search. */
const seeds = Number(process.env.ACCOUNT_SEEDS ?? 3)

/** Returns numbers from 0 to below 1 that depend on the seed alone. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

describe.each(databaseKinds)('random changes of accounts on %s', (kind) => {
  test.each(Array.from({ length: seeds }, (_, index) => index + 1))(
    'have no findings, and each change by SQL has one (seed %i)',
    async (seed) => {
      const log = await openAccountLog(kind)
      const random = randomFrom(seed)
      const act = createActions(log, random)
      for (let round = 0; round < 6; round++) {
        await Promise.all(Array.from({ length: 8 }, () => act()))
        if (random() < 0.5) await Promise.all([log.sequence(), act(), act()])
        if (round === 1) await recordBaseline(log.deps, () => false)
        if (random() < 0.4) await fillAndPrune(log)
        const [problems] = await Promise.all([problemsOf(log), act(), act(), log.sequence()])
        expect(problems).toEqual([])
      }
      expect(await notesOf(log)).not.toContain('not covered')
      await log.sql(`
        UPDATE users SET roles = roles || '{intruder}' WHERE id = (SELECT id FROM users ORDER BY md5(id::text) LIMIT 1)`)
      expect((await problemsOf(log)).join()).toMatch(/had its roles changed outside of this service$/)
      await log.close()
    },
    60_000,
  )
})

async function fillAndPrune({ fill, prune }: AccountLog): Promise<void> {
  await fill()
  await prune()
}

/** Returns a function that changes something, as a client of the API would. Refusals are fine. */
function createActions({ deps, login }: TestApplication, random: () => number) {
  let created = 0
  const pick = async () => {
    const { users } = await listUsers(deps, { limit: 100, after: undefined, search: undefined })
    return users[Math.floor(random() * users.length)]
  }
  const some = (roles: readonly string[]) => roles.filter(() => random() < 0.5)
  const actions = [
    () => createUser(deps, by, { username: `u${created++}`, full_name: 'X', password, roles: some(['a', 'b']) }),
    () => importUsers(deps, 'test', fileOf(`i${created++}`), importOptions, () => {}),
    async () => changeUser(deps, by, (await pick())?.id ?? '', { roles: some(['admin', 'b', 'c']) }),
    async () => changeUser(deps, by, (await pick())?.id ?? '', { is_active: random() < 0.5 }),
    async () => resetPassword(deps, by, (await pick())?.id ?? '', { password: `${password} ${random()}` }),
    async () => login((await pick())?.username ?? '', password),
    async () => random() < 0.5 && deleteUser(deps, by, (await pick())?.id ?? ''),
  ]
  return async () => {
    try {
      await actions[Math.floor(random() * actions.length)]?.()
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
  }
}

const importOptions = {
  from: undefined,
  firebase: undefined,
  format: 'ndjson',
  isDryRun: false,
  skipsBad: false,
} as const

/** An old hash, which the first sign-in replaces. */
async function* fileOf(name: string): AsyncGenerator<Uint8Array> {
  const users = ['editor', 'admin'].map((role) => ({
    username: `${name}-${role}`,
    full_name: 'X',
    roles: [role],
    hashed_password: hash,
  }))
  yield Buffer.from(users.map((user) => `${JSON.stringify(user)}\n`).join(''))
}

const hash = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
