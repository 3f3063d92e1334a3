import { Elysia, t } from 'elysia'
import type { Deps } from '../domain/deps.ts'
import { isReady } from '../domain/readiness.ts'
import { AppError } from '../error.ts'

const Status = t.Object({ status: t.Literal('ok') })

/** Alive, and ready for work. */
export function healthRoutes(deps: Deps) {
  return new Elysia({ name: 'health' })
    .get('/health', () => ({ status: 'ok' as const }), { response: { 200: Status } })
    .get(
      '/ready',
      async () => {
        if (!(await isReady(deps))) throw new AppError('unavailable', 'The database is not migrated yet.')
        return { status: 'ok' as const }
      },
      { response: { 200: Status } },
    )
}
