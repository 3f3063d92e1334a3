import { isNetwork } from '../ipAddress.ts'

/**
 * Returns a comma-separated list of addresses and networks. Throws an Error that names the format.
 */
export function parseNetworks(text: string): readonly string[] {
  const networks = text
    .split(',')
    .map((network) => network.trim())
    .filter((network) => network !== '')
  if (!networks.every(isNetwork))
    throw new Error('must list IP addresses or CIDR networks, separated by commas, such as 127.0.0.1, 172.16.0.0/12')
  return Object.freeze(networks)
}
