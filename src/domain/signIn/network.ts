import { isIPv4, isIPv6 } from 'node:net'

/** The network that an address counts for: the address itself, and of IPv6 its /64, of which one customer has all. */
export function networkOf(address: string): string {
  if (isIPv4(address) || !isIPv6(address)) return address
  const groups = expand(address.split('%', 1)[0] ?? '')
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

/** Eight groups of hexadecimal digits (RFC 4291 §2.2). */
function expand(address: string): readonly string[] {
  const [head = '', tail] = address.split('::')
  const front = groupsOf(head)
  if (tail === undefined) return front
  const back = groupsOf(tail)
  return [...front, ...Array<string>(8 - front.length - back.length).fill('0'), ...back]
}

/** An IPv4 address at the end is two groups. */
function groupsOf(text: string): string[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => (group.includes('.') ? ['0', '0'] : [group]))
}
