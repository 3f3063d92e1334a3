import { expect, test } from 'bun:test'
import { openTestApplication } from '../../application.ts'

test('a transaction on the embedded database contains no statement of another operation', async () => {
  const application = await openTestApplication('the embedded database')
  try {
    const { database } = application.deps
    const [user] = await application.sql('SELECT id FROM users')
    const begun = Promise.withResolvers<void>()
    const mayEnd = Promise.withResolvers<void>()
    const rolledBack = database.withEvents(
      async ({ users }) => {
        await users.isUsernameTaken('admin')
        begun.resolve()
        await mayEnd.promise
        throw new Error('rolled back')
      },
      () => [],
    )
    await begun.promise
    let isDone = false
    const other = database.signIns.recordSignIn(String(user?.id), new Date()).then(() => {
      isDone = true
    })
    const read = database.findApiKey('unknown')
    await Bun.sleep(20)
    expect(isDone).toBe(false)
    mayEnd.resolve()
    expect(await rolledBack.catch((error: Error) => error.message)).toContain('unexpected')
    await Promise.all([other, read])
    expect(await application.sql('SELECT FROM audittrail_sign_ins')).toHaveLength(1)
  } finally {
    await application.close()
  }
})
