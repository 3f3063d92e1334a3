import { Elysia, t } from 'elysia'
import type { Deps } from '../../domain/deps.ts'
import { findUnreadiness, watchReadiness } from '../../domain/readiness.ts'
import { AppError } from '../../error.ts'
import { operation } from '../operation.ts'

const Status = t.Object({ status: t.Literal('ok') })

/** Alive, and ready for work. */
export function healthRoutes(deps: Deps, isEnding: () => boolean) {
  const readiness = watchReadiness(() => findUnreadiness(deps), deps.log)
  return new Elysia({ name: 'health' })
    .get(
      '/health',
      () => ({ status: 'ok' as const }),
      operation({
        operationId: 'health',
        tag: 'Health',
        summary: 'Is the process alive?',
        description: 'Answers as long as the process lives. Asks no database.',
        schema: Status,
        example: { status: 'ok' },
        errors: [],
      }),
    )
    .get(
      '/ready',
      async () => {
        if (isEnding()) throw new AppError('unavailable', 'about to end')
        if (await readiness()) throw new AppError('unavailable', 'not ready')
        return { status: 'ok' as const }
      },
      operation({
        operationId: 'ready',
        tag: 'Health',
        summary: 'Is it ready for work?',
        description:
          'Answers 200 once the database answers and is migrated, and 503 from the moment on when the process is told to end. ' +
          'The log says why not; the answer does not.',
        schema: Status,
        example: { status: 'ok' },
        errors: ['unavailable'],
      }),
    )
}
