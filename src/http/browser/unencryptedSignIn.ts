import { createNetworkCheck } from '../../ipAddress.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Client } from '../edge/requestContext.ts'

const loopback = ['127.0.0.0/8', '::1/128']

/** Returns a function that logs the first sign-in of a browser over http from another computer. */
export function createUnencryptedSignInLog(log: Pick<Log, 'warn'>): (client: Client) => void {
  const isLoopback = createNetworkCheck(loopback)
  let hasWarned = false
  return ({ address, isSecure }) => {
    if (hasWarned || isSecure || address === undefined || isLoopback(address)) return
    hasWarned = true
    log.warn('login.unencrypted', {
      address,
      detail:
        'a browser signed in over http, so that others on its network can read the password and the cookie; use https, and let a proxy in TRUSTED_PROXIES send X-Forwarded-Proto',
    })
  }
}
