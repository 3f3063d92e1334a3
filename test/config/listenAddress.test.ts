import { describe, expect, test } from 'bun:test'
import { listenAddressOf, parseOptionalAddress } from '../../src/config/listenAddress.ts'

describe('METRICS', () => {
  test.each([
    ['off', undefined],
    ['127.0.0.1:9464', { host: '127.0.0.1', port: 9464 }],
    ['[::1]:9464', { host: '::1', port: 9464 }],
    ['metrics.internal:0', { host: 'metrics.internal', port: 0 }],
    ['0.0.0.0:65535', { host: '0.0.0.0', port: 65535 }],
  ])('parses %s', (text, address) => {
    expect(listenAddressOf(parseOptionalAddress(text))).toEqual(address)
  })

  test.each([
    'on',
    '9464',
    ':9464',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:9464/metrics',
    '::1:9464',
    '[::g]:1',
    '[127.0.0.1]:1',
    'a b:1',
    'http://127.0.0.1:9464',
  ])('rejects %s', (text) => {
    expect(() => parseOptionalAddress(text)).toThrow('must be off or ADDRESS:PORT')
  })
})
