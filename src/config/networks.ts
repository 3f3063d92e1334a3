import { isIP } from 'node:net'

/** A list of addresses and networks with commas between; empty for none. Throws an Error that says what it takes. */
export function parseNetworks(text: string): readonly string[] {
  const networks = text.split(',').map((network) => network.trim())
  return Object.freeze(networks.filter((network) => network !== '').map(parseNetwork))
}

function parseNetwork(network: string): string {
  const [address = '', bits, ...rest] = network.split('/')
  const family = isIP(address)
  const isRight =
    family !== 0 &&
    rest.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32)))
  if (!isRight) throw new Error('IP addresses or CIDR networks, separated by commas (127.0.0.1, 172.16.0.0/12)')
  return network
}
