import { describe, expect, test } from 'bun:test'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { createClientOf, createIsHttps } from '../../../src/http/edge/clientAddress.ts'
import { createLog } from '../../../src/telemetry/log.ts'

const lines: string[] = []
const log = createLog({ level: 'info', format: 'json', now: Date.now, write: (line) => lines.push(line) })
const clientOf = createClientOf(['127.0.0.1', '10.0.0.0/8', 'fd00::/8'], log)
const withoutProxies = createClientOf([], log)

function request(...forwarded: string[]): Request {
  const headers = new Headers()
  for (const value of forwarded) headers.append('x-forwarded-for', value)
  return new Request('http://localhost/', { headers })
}

describe('client address', () => {
  test.each([
    ['is the peer without X-Forwarded-For', [], '203.0.113.9', '203.0.113.9'],
    ['is the peer if the peer is not trusted', ['198.51.100.1'], '203.0.113.9', '203.0.113.9'],
    ['is the hop that a trusted proxy added', ['198.51.100.1'], '127.0.0.1', '198.51.100.1'],
    ['is the right-most untrusted hop', ['1.1.1.1, 198.51.100.1, 10.1.2.3'], '127.0.0.1', '198.51.100.1'],
    ['is read across repeated headers', ['1.1.1.1', '198.51.100.1'], '127.0.0.1', '198.51.100.1'],
    ['is the left-most hop if all are trusted', ['10.9.9.9, 10.1.2.3'], '127.0.0.1', '10.9.9.9'],
    ['has no port', ['198.51.100.1:4711'], '127.0.0.1', '198.51.100.1'],
    ['can be IPv6 with brackets and port', ['[2001:DB8::1]:4711'], 'fd00::2', '2001:db8::1'],
    ['is IPv4 if the peer is IPv4-mapped', [], '::ffff:203.0.113.9', '203.0.113.9'],
    ['comes from a trusted proxy that is IPv4-mapped', ['198.51.100.1'], '::ffff:127.0.0.1', '198.51.100.1'],
    ['is IPv4 if the hop is IPv4-mapped in hexadecimal', ['::ffff:c633:6401'], '127.0.0.1', '198.51.100.1'],
    ['is IPv4 if the hop is IPv4-mapped without ::', ['[0:0:0:0:0:FFFF:198.51.100.1]:80'], '127.0.0.1', '198.51.100.1'],
    [
      'is IPv6 if the hop only looks IPv4-mapped',
      ['2001:db8::ffff:c633:6401'],
      '127.0.0.1',
      '2001:db8::ffff:c633:6401',
    ],
    ['skips a trusted hop that is IPv4-mapped', ['198.51.100.1, ::ffff:a01:203'], '127.0.0.1', '198.51.100.1'],
    ['has no zone', ['2001:db8::1%eth0'], '127.0.0.1', '2001:db8::1'],
    ['has no zone from inside brackets', ['[fe80::1%4]:80'], '127.0.0.1', 'fe80::1'],
    ['ignores hops left of an invalid one', ['198.51.100.1, unknown'], '127.0.0.1', '127.0.0.1'],
    ['is the peer if X-Forwarded-For is empty', [''], '127.0.0.1', '127.0.0.1'],
  ])('%s', (_title, forwarded, peer, expected) => {
    expect(clientOf(request(...forwarded), peer).address).toBe(expected)
  })

  test('is always an address, and never one left of an untrusted hop', () => {
    const hop = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.constantFrom('10.1.1.1', 'unknown', '', '_hidden', '1.2.3', '256.1.1.1'),
    )
    fc.assert(
      fc.property(fc.array(hop, { maxLength: 6 }), fc.ipV4(), (spoofed, real) => {
        fc.pre(!real.startsWith('10.') && real !== '127.0.0.1')
        const { address } = clientOf(request([...spoofed, real].join(', ')), '127.0.0.1')
        expect(isIP(address ?? '')).not.toBe(0)
        expect(address).toBe(real)
      }),
    )
  })

  test('is shared, with one warning, if a private peer that is not trusted sends X-Forwarded-For', () => {
    lines.length = 0
    const clients = [
      withoutProxies(request('198.51.100.1'), '172.18.0.4'),
      withoutProxies(request('198.51.100.2'), '172.18.0.4'),
      withoutProxies(request('198.51.100.2'), '203.0.113.9'),
      withoutProxies(request(), '172.18.0.4'),
    ]
    expect(clients.map(({ address }) => address)).toEqual(['172.18.0.4', '172.18.0.4', '203.0.113.9', '172.18.0.4'])
    expect(clients.map(({ isShared }) => isShared)).toEqual([true, true, false, false])
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'warn',
      event: 'proxy.undeclared',
      address: '172.18.0.4',
    })
  })
})

describe('trusted networks', () => {
  test.each([
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '11.1.2.3', false],
    ['::ffff:10.1.2.3', '10.1.2.3', true],
    ['::/0', '10.1.2.3', true],
    ['::/0', '2001:db8::1', true],
    ['::ffff:0:0/90', '10.1.2.3', true],
    ['2001:db8::/32', '10.1.2.3', false],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['0.0.0.0/0', '::ffff:a01:203', true],
    ['fe80::1%eth0', 'fe80::1%eth1', true],
    ['fe80::1%br-lan', 'fe80::1%eth0.100', true],
    ['fe80::%br-lan/64', 'fe80::1', true],
    ['::10.0.0.1', '10.0.0.1', false],
    ['::10.0.0.1', '::a00:1', true],
    ['::10.0.0.0/104', '10.1.2.3', false],
    ['::/96', '::10.0.0.1', true],
    ['10.0.0.0/8', 'unknown', false],
  ])('%s with the peer %s: trusted is %p', (network, peer, isTrusted) => {
    const { address } = createClientOf([network], log)(request('198.51.100.1'), peer)
    expect(address === '198.51.100.1').toBe(isTrusted)
  })
})

describe('https of the client', () => {
  const proxies = ['127.0.0.1']
  const sending = (...protocols: string[]) => {
    const headers = new Headers()
    for (const protocol of protocols) headers.append('x-forwarded-proto', protocol)
    return new Request('https://localhost/', { headers })
  }

  test.each([
    ['is reported by a trusted proxy', ['https'], '127.0.0.1', true],
    ['is reported in any letter case', ['HTTPS'], '::ffff:127.0.0.1', true],
    ['is reported by the nearest proxy', ['http, https'], '127.0.0.1', true],
    ['is not reported by a farther proxy', ['https', 'http'], '127.0.0.1', false],
    ['is not reported by http', ['http'], '127.0.0.1', false],
    ['is not reported without the header', [], '127.0.0.1', false],
    ['is not reported by an untrusted peer', ['https'], '203.0.113.9', false],
    ['is not reported without a peer', ['https'], undefined, false],
  ])('%s', (_title, protocols, peer, expected) => {
    expect(createIsHttps(proxies)(sending(...protocols), peer)).toBe(expected)
    expect(createClientOf(proxies, log)(sending(...protocols), peer).isSecure).toBe(expected)
  })

  test('is never reported without trusted proxies', () => {
    expect(createIsHttps([])(sending('https'), '127.0.0.1')).toBe(false)
    expect(withoutProxies(sending('https'), '127.0.0.1').isSecure).toBe(false)
  })
})
