import { createNetworkCheck, normalizeAddress } from '../../ipAddress.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Client } from './requestContext.ts'

/** Networks of undeclared proxies: the same container, host or private network. */
const privateNetworks = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
]

/**
 * Returns the client of a request: the peer, or the right-most untrusted hop of X-Forwarded-For if
 * the peer is in `trustedProxies`. The client may have forged hops further left.
 */
export function createClientOf(trustedProxies: readonly string[], log: Log) {
  const isTrusted = createNetworkCheck(trustedProxies)
  const isPrivate = createNetworkCheck(privateNetworks)
  let hasWarned = false

  const warnOnce = (peer: string) => {
    if (hasWarned) return
    hasWarned = true
    log.warn('proxy.undeclared', {
      address: peer,
      detail:
        'sends X-Forwarded-For but is not in TRUSTED_PROXIES, so all its clients count as one address; if it is your proxy, add it to TRUSTED_PROXIES',
    })
  }

  return (request: Request, socketPeer: string | undefined): Client => {
    if (socketPeer === undefined) return { address: undefined, isSecure: false, isShared: false }
    const peer = normalizeAddress(socketPeer) ?? socketPeer
    const forwarded = request.headers.get('x-forwarded-for')
    const hasForwardedHttps = isForwardedHttps(request)
    if (forwarded === null && !hasForwardedHttps) return { address: peer, isSecure: false, isShared: false }
    if (isTrusted(peer)) {
      const address = forwarded === null ? peer : rightmostUntrusted(forwarded, peer, isTrusted)
      return { address, isSecure: hasForwardedHttps, isShared: false }
    }
    const isShared = forwarded !== null && isPrivate(peer)
    if (isShared) warnOnce(peer)
    return { address: peer, isSecure: false, isShared }
  }
}

/** Returns a check for https. Only a trusted proxy can report it: the server itself has no TLS. */
export function createIsHttps(trustedProxies: readonly string[]) {
  const isTrusted = createNetworkCheck(trustedProxies)
  return (request: Request, socketPeer: string | undefined): boolean =>
    socketPeer !== undefined && isForwardedHttps(request) && isTrusted(normalizeAddress(socketPeer) ?? socketPeer)
}

/** The nearest proxy writes the right-most value. */
function isForwardedHttps(request: Request): boolean {
  const protocol = request.headers.get('x-forwarded-proto')
  return protocol !== null && protocol.split(',').at(-1)?.trim().toLowerCase() === 'https'
}

function rightmostUntrusted(forwarded: string, peer: string, isTrusted: (address: string) => boolean): string {
  let client = peer
  for (const hop of forwarded.split(',').reverse()) {
    const address = hopAddress(hop.trim())
    // Hops left of an invalid one cannot be trusted.
    if (address === undefined) return client
    if (!isTrusted(address)) return address
    client = address
  }
  return client
}

/** Returns the address of a hop without brackets and port; undefined if it is not an address. */
function hopAddress(hop: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(hop)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(hop)?.[1] ?? hop
  return normalizeAddress(bare)
}
