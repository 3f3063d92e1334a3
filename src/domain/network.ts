import { isIPv6 } from 'node:net'
import type ipaddr from 'ipaddr.js'
import { parseAddress } from '../ipAddress.ts'

/**
 * Returns the network that the throttle counts: an IPv4 address, or the /64 of IPv6 that one
 * customer has.
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const groups = (parseAddress(address) as ipaddr.IPv6).parts.slice(0, 4)
  return `${groups.map((group) => group.toString(16)).join(':')}::/64`
}
