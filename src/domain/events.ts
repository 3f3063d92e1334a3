import type { Deps } from './deps.ts'

/** What happens to accounts and sessions. Each becomes one line of the log; the words are stable. */
export type AuthenticationEvent =
  | {
      readonly event: 'login.succeeded'
      readonly username: string
      readonly session: string
      readonly address: string | undefined
    }
  | {
      readonly event: 'login.failed'
      readonly username: string
      readonly reason: LoginFailure
      readonly address: string | undefined
    }
  | { readonly event: 'administrator.seeded'; readonly username: string }

/** For the log alone; the client is told the same in each case. */
export type LoginFailure = 'unknown_user' | 'wrong_password' | 'inactive_user'

/** Records an event of the trail. */
export function record({ log }: Pick<Deps, 'log'>, { event, ...facts }: AuthenticationEvent): void {
  if (event === 'login.failed') log.warn(event, facts)
  else log.info(event, facts)
}
