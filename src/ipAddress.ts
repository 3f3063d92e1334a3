import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

// ipaddr.js also accepts octal and short IPv4 such as 010.0.0.1, so net.isIP decides first.
// It rejects zones such as %br-lan and reads ::192.0.2.1 as IPv4-mapped, so `parseAddress` avoids
// both.

type Range = [ipaddr.IPv4, number] | [ipaddr.IPv6, number]

/** Returns whether the text is an IP address, or a network in CIDR notation. */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  const isLength = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32))
  return family !== 0 && rest.length === 0 && isLength
}

/**
 * Returns the address in lower case, without a zone (which only has a meaning on one machine), and
 * as IPv4 if it is IPv4-mapped (RFC 4291 §2.5.5.2). Undefined if the text is not an address.
 */
export function normalizeAddress(text: string): string | undefined {
  if (!isIP(text)) return undefined
  const address = text.replace(/%.*$/, '').toLowerCase()
  // Every mapped address has this group, so most addresses need no parsing.
  if (!address.includes('ffff:')) return address
  const unmapped = ipaddr.process(address)
  return unmapped.kind() === 'ipv4' ? unmapped.toString() : address
}

/** Returns a check for normalized addresses in any of the networks. Parses the networks once. */
export function createNetworkCheck(networks: readonly string[]): (address: string) => boolean {
  const ranges = networks.flatMap(rangesOf)
  if (ranges.length === 0) return () => false
  return (address) => {
    if (!isIP(address)) return false
    const parsed = parseAddress(address)
    return ranges.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match([network, bits]))
  }
}

const allIPv4: Range = [ipaddr.IPv4.parse('0.0.0.0'), 0]
const mappedIPv4 = ipaddr.IPv6.parse('::ffff:0:0')

/**
 * Addresses are IPv4 if they are IPv4-mapped, so IPv6 networks with mapped addresses need IPv4
 * ranges.
 */
function rangesOf(network: string): Range[] {
  const [address, bits] = parseNetwork(network)
  if (address instanceof ipaddr.IPv4) return [[address, bits]]
  if (bits >= 96 && address.isIPv4MappedAddress()) return [[address.toIPv4Address(), bits - 96]]
  return bits < 96 && mappedIPv4.match(address, bits) ? [[address, bits], allIPv4] : [[address, bits]]
}

function parseNetwork(network: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const [text = '', bits] = network.split('/')
  const address = parseAddress(text)
  return [address, bits === undefined ? (address.kind() === 'ipv6' ? 128 : 32) : Number(bits)]
}

/** Parses an address that `net.isIP` accepts. Its zone has no meaning here. */
export function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.parse(text.replace(/%.*$/, '').replace(/^::(?=\d+\.)/, '0::'))
}
