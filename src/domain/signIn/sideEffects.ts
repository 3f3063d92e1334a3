import { AppError } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'
import type { Deps } from '../deps.ts'

/** What follows a sign-in or a password change. */
export type SideEffect = 'reset_throttle' | 'record_sign_in' | 'rehash' | 'end_former_session'

/** Runs a side effect. Logs its failure and never throws. */
export async function reportingFailure(
  { log }: Pick<Deps, 'log'>,
  { username }: { readonly username: string },
  effect: SideEffect,
  run: () => Promise<void>,
): Promise<void> {
  try {
    await run()
  } catch (error) {
    // A rehash is left to a later sign-in while the server is overloaded.
    if (error instanceof AppError && error.code === 'overloaded') return
    log.warn('login.side_effect_failed', { effect, username, ...describeError(error) })
  }
}
