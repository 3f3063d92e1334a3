import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import type { KeyRing } from '../../domain/keys/keyRing.ts'
import { findUnreadiness, watchReadiness } from '../../domain/readiness.ts'
import { AppError } from '../../error.ts'
import { operation } from '../operation.ts'

const Status = t.Object({ status: t.Literal('ok') })

export function healthRoutes(deps: Deps, keyRing: KeyRing, isEnding: () => boolean) {
  const readiness = watchReadiness(() => findUnreadiness(deps, keyRing), deps.log)
  return new Elysia({ name: 'health' })
    .get(
      '/health',
      () => ({ status: 'ok' as const }),
      operation({
        operationId: 'health',
        tag: 'Health',
        summary: 'Check that the process is alive',
        description: 'Returns 200 while the process runs. Does not query the database.',
        schema: Status,
        example: { status: 'ok' },
        errors: [],
      }),
    )
    .get(
      '/ready',
      async () => {
        if (isEnding()) throw new AppError('unavailable', 'shutting down')
        if (await readiness()) throw new AppError('unavailable', 'not ready')
        return { status: 'ok' as const }
      },
      operation({
        operationId: 'ready',
        tag: 'Health',
        summary: 'Check that the server is ready',
        description:
          'Returns 200 once a login can succeed: the database responds, is migrated and seeded, and the signing ' +
          'keys are loaded. Returns 503 from the start of shutdown. ' +
          'The reason for a 503 is only in the log.',
        schema: Status,
        example: { status: 'ok' },
        errors: ['unavailable'],
      }),
    )
}
