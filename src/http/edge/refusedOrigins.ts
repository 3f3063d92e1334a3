import { isOrigin } from '../../config/origins.ts'
import type { Log } from '../../telemetry/log.ts'

/** Origins to remember. Clients choose the header, so there is no end of them. */
const maxOrigins = 100
const maxLength = 300

/**
 * Returns a function that logs each origin once, unless the request comes from the same origin.
 * Browsers send `null` for a local file. Whatever no browser sends is not logged.
 */
export function createRefusedOriginLog(log: Pick<Log, 'warn'>): (request: Request, origin: string) => void {
  const known = new Set<string>()
  return (request, origin) => {
    if (known.has(origin) || known.size >= maxOrigins || origin.length > maxLength) return
    if (origin !== 'null' && !isOrigin(origin)) return
    if (isSameOrigin(request.headers, origin)) return
    known.add(origin)
    log.warn('cors.refused', {
      origin,
      detail: 'browsers hide the responses from pages of this origin; if they may call the API, add it to CORS_ORIGINS',
    })
  }
}

/** Browsers send Sec-Fetch-Site to HTTPS and localhost only. Some proxies drop the port of Host. */
function isSameOrigin(headers: Headers, origin: string): boolean {
  const site = headers.get('sec-fetch-site')
  if (site !== null) return site === 'same-origin' || site === 'none'
  const host = headers.get('host') ?? ''
  const page = /^https?:/.test(origin) && URL.canParse(origin) ? new URL(origin) : undefined
  return page !== undefined && (page.host === host || page.hostname === host)
}
