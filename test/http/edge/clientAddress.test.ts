import { describe, expect, test } from 'bun:test'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { createClientAddress, createIsHttps } from '../../../src/http/edge/clientAddress.ts'
import { createLog } from '../../../src/telemetry/log.ts'

const lines: string[] = []
const log = createLog({ level: 'info', format: 'json', now: Date.now, write: (line) => lines.push(line) })
const behind = createClientAddress(['127.0.0.1', '10.0.0.0/8', 'fd00::/8'], log)
const alone = createClientAddress([], log)

function request(...forwarded: string[]): Request {
  const headers = new Headers()
  for (const value of forwarded) headers.append('x-forwarded-for', value)
  return new Request('http://localhost/', { headers })
}

describe('the client address', () => {
  test.each([
    ['is the peer without a proxy', [], '203.0.113.9', '203.0.113.9'],
    ['is the peer when it is no trusted proxy, whatever it says', ['198.51.100.1'], '203.0.113.9', '203.0.113.9'],
    ['is what the trusted proxy saw', ['198.51.100.1'], '127.0.0.1', '198.51.100.1'],
    ['is the right-most hop that is not trusted', ['1.1.1.1, 198.51.100.1, 10.1.2.3'], '127.0.0.1', '198.51.100.1'],
    ['is read across repeated headers', ['1.1.1.1', '198.51.100.1'], '127.0.0.1', '198.51.100.1'],
    ['is the left-most hop when all are trusted', ['10.9.9.9, 10.1.2.3'], '127.0.0.1', '10.9.9.9'],
    ['loses its port', ['198.51.100.1:4711'], '127.0.0.1', '198.51.100.1'],
    ['is IPv6 too, with brackets and port', ['[2001:DB8::1]:4711'], 'fd00::2', '2001:db8::1'],
    ['is IPv4 where the socket is IPv6', [], '::ffff:203.0.113.9', '203.0.113.9'],
    ['is trusted in that spelling too', ['198.51.100.1'], '::ffff:127.0.0.1', '198.51.100.1'],
    ['is IPv4 in each spelling of IPv6', ['::ffff:c633:6401'], '127.0.0.1', '198.51.100.1'],
    ['is IPv4 in the longest too', ['[0:0:0:0:0:FFFF:198.51.100.1]:80'], '127.0.0.1', '198.51.100.1'],
    ['is IPv6 where it only looks like that', ['2001:db8::ffff:c633:6401'], '127.0.0.1', '2001:db8::ffff:c633:6401'],
    ['is not that of a trusted proxy so spelt', ['198.51.100.1, ::ffff:a01:203'], '127.0.0.1', '198.51.100.1'],
    ['loses its zone', ['2001:db8::1%eth0'], '127.0.0.1', '2001:db8::1'],
    ['loses its zone in brackets', ['[fe80::1%4]:80'], '127.0.0.1', 'fe80::1'],
    ['stops at what is no address', ['198.51.100.1, unknown'], '127.0.0.1', '127.0.0.1'],
    ['stops at an empty header', [''], '127.0.0.1', '127.0.0.1'],
  ])('%s', (_what, forwarded, peer, expected) => {
    expect(behind(request(...forwarded), peer)).toBe(expected)
  })

  test('is always an address, and never left of a hop that is not trusted', () => {
    const hop = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('10.1.1.1', 'unknown', '', '_hidden', '1.2.3', '256.1.1.1'),
    )
    fc.assert(
      fc.property(fc.array(hop, { maxLength: 6 }), fc.ipV4(), (spoofed, real) => {
        fc.pre(!real.startsWith('10.') && real !== '127.0.0.1')
        const address = behind(request([...spoofed, real].join(', ')), '127.0.0.1')
        expect(isIP(address ?? '')).not.toBe(0)
        expect(address).toBe(real)
      }),
    )
  })

  test('of an undeclared proxy nearby is warned of once', () => {
    lines.length = 0
    expect(alone(request('198.51.100.1'), '172.18.0.4')).toBe('172.18.0.4')
    expect(alone(request('198.51.100.2'), '172.18.0.4')).toBe('172.18.0.4')
    expect(alone(request('198.51.100.2'), '203.0.113.9')).toBe('203.0.113.9')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'warn',
      event: 'proxy.undeclared',
      address: '172.18.0.4',
    })
  })
})

describe('a request came over https', () => {
  const isHttps = createIsHttps(['127.0.0.1'])
  const saying = (...protocols: string[]) => {
    const headers = new Headers()
    for (const protocol of protocols) headers.append('x-forwarded-proto', protocol)
    return new Request('https://localhost/', { headers })
  }

  test.each([
    ['when the trusted proxy says so', ['https'], '127.0.0.1', true],
    ['in any case of letters', ['HTTPS'], '::ffff:127.0.0.1', true],
    ['by the word of the nearest proxy', ['http, https'], '127.0.0.1', true],
    ['not by the word of one farther off', ['https', 'http'], '127.0.0.1', false],
    ['not when it says http', ['http'], '127.0.0.1', false],
    ['not when it says nothing', [], '127.0.0.1', false],
    ['not when anyone else says so', ['https'], '203.0.113.9', false],
    ['not without a socket', ['https'], undefined, false],
  ])('%s', (_what, protocols, peer, expected) => {
    expect(isHttps(saying(...protocols), peer)).toBe(expected)
  })

  test('never where no proxy is trusted', () => {
    expect(createIsHttps([])(saying('https'), '127.0.0.1')).toBe(false)
  })
})
