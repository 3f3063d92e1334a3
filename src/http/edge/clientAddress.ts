import { BlockList, isIP } from 'node:net'
import type { Log } from '../../telemetry/log.ts'
import type { Client } from './requestContext.ts'

/** Answers the client's address for a request; undefined where there is no socket. */
export type ClientAddress = (request: Request, peer: string | undefined) => string | undefined

/** What an undeclared proxy usually is: in the same container, on the same host, in the same private network. */
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
 * The socket's peer, unless it is a trusted proxy: then the right-most hop of X-Forwarded-For that is none, which is the
 * last one that a proxy of ours has seen with its own eyes. What stands left of it is whatever the client wrote.
 * `trustedProxies` are addresses and networks in CIDR notation.
 */
export function createClientAddress(trustedProxies: readonly string[], log: Log): ClientAddress {
  const trusted = blockList(trustedProxies)
  const nearby = blockList(privateNetworks)
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

  return (request, socketPeer) => {
    if (socketPeer === undefined) return undefined
    const peer = plainAddress(socketPeer) ?? socketPeer
    const forwarded = request.headers.get('x-forwarded-for')
    if (forwarded === null) return peer
    if (!contains(trusted, peer)) {
      if (contains(nearby, peer)) warnOnce(peer)
      return peer
    }
    return rightmostUntrusted(forwarded, peer, trusted)
  }
}

/** Answers whether the client's own connection is https. */
export type IsHttps = (request: Request, peer: string | undefined) => boolean

/**
 * What a trusted proxy says in X-Forwarded-Proto; of several words the right-most, which the nearest proxy wrote. We speak no
 * TLS ourselves, so that without such a proxy no request came over https.
 */
export function createIsHttps(trustedProxies: readonly string[]): IsHttps {
  if (trustedProxies.length === 0) return () => false
  const trusted = blockList(trustedProxies)
  return (request, socketPeer) => {
    const protocol = request.headers.get('x-forwarded-proto')
    if (protocol === null || socketPeer === undefined) return false
    const isTrusted = contains(trusted, plainAddress(socketPeer) ?? socketPeer)
    return isTrusted && protocol.split(',').at(-1)?.trim().toLowerCase() === 'https'
  }
}

/** Answers whether the address is that of a proxy which nobody has declared, so that it says nothing of who calls. */
export type IsShared = (request: Request, peer: string | undefined) => boolean

/** A peer nearby that sends X-Forwarded-For and is not trusted: what `proxy.undeclared` warns of. */
export function createIsShared(trustedProxies: readonly string[]): IsShared {
  const trusted = blockList(trustedProxies)
  const nearby = blockList(privateNetworks)
  return (request, socketPeer) => {
    if (socketPeer === undefined || !request.headers.has('x-forwarded-for')) return false
    const peer = plainAddress(socketPeer) ?? socketPeer
    return contains(nearby, peer) && !contains(trusted, peer)
  }
}

/** Returns the client of a request, by the socket's peer. */
export function createClientOf(trustedProxies: readonly string[], log: Log) {
  const clientAddress = createClientAddress(trustedProxies, log)
  const isHttps = createIsHttps(trustedProxies)
  const isShared = createIsShared(trustedProxies)
  return (request: Request, peer: string | undefined): Client => ({
    address: clientAddress(request, peer),
    isSecure: isHttps(request, peer),
    isShared: isShared(request, peer),
  })
}

function rightmostUntrusted(forwarded: string, peer: string, trusted: BlockList): string {
  let nearest = peer
  for (const hop of forwarded.split(',').reverse()) {
    const address = plainAddress(hop.trim())
    // A hop that is no address ends what can be believed.
    if (address === undefined) return nearest
    if (!contains(trusted, address)) return address
    nearest = address
  }
  return nearest
}

/** Without brackets, port and zone, and IPv4 written as IPv4; undefined for what is no address. */
function plainAddress(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text
  if (!isIP(bare)) return undefined
  // A zone (`%eth0`) is a name within one machine: it would make many addresses of one.
  const address = bare.replace(/%.*$/, '').toLowerCase()
  return mappedIPv4(address) ?? address
}

/** What `::ffff:198.51.100.1` means in each of its spellings (RFC 4291 §2.5.5.2): as IPv6 they would all be of one /64. */
function mappedIPv4(address: string): string | undefined {
  if (!address.includes('ffff:')) return undefined
  const shortest = URL.parse(`http://[${address}]`)?.hostname ?? ''
  const [, high, low] = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(shortest) ?? []
  if (high === undefined || low === undefined) return undefined
  return [high, low]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits), family)
  }
  return list
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}
