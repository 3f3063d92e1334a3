import { isOrigin } from '../../config/origins.ts'
import type { Log } from '../../telemetry/log.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { isSameOrigin, type RequestFacts, requestedOrigin } from './sameOrigin.ts'

export interface OriginServices {
  readonly deps: { readonly log: Pick<Log, 'warn'> }
  readonly requestContexts: RequestContexts
  /** PUBLIC_ORIGINS. Empty: the origin that each request was sent to. */
  readonly publicOrigins: readonly string[]
}

const fetchSites = ['same-site', 'cross-site']

/** The same-origin rule with the origins of this service, and the log of what it rejects. */
export function createOriginCheck({ deps, requestContexts, publicOrigins }: OriginServices) {
  return {
    /** Returns whether a request follows the rule. */
    follows: (request: Request, facts: RequestFacts, acceptsLinks: boolean): boolean => {
      const { isSecure } = requestContexts.of(request)
      const own = () => (publicOrigins.length > 0 ? publicOrigins : [requestedOrigin(request, isSecure)])
      return isSameOrigin(facts, own, acceptsLinks)
    },
    logRejection: (request: Request, { site, origin }: RequestFacts, session: string | undefined): void =>
      deps.log.warn('session.cross_origin', {
        session,
        site: site !== null && fetchSites.includes(site) ? site : undefined,
        origin: origin !== null && (origin === 'null' || isOrigin(origin)) ? origin.slice(0, 300) : undefined,
        address: requestContexts.of(request).address,
      }),
  }
}
