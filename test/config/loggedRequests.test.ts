import { describe, expect, test } from 'bun:test'
import { createIsLogged, parseLoggedRequests } from '../../src/config/loggedRequests.ts'

const statuses = [200, 204, 400, 401, 404, 429, 500, 503]

describe('LOG_REQUESTS', () => {
  test.each([
    ['all', statuses],
    ['errors', [500, 503]],
    ['off', []],
  ] as const)('%s selects requests by status', (text, expected) => {
    const isLogged = createIsLogged(parseLoggedRequests(text), () => 0)
    expect(statuses.filter(isLogged)).toEqual([...expected])
  })

  test('a share selects that part of the successful requests and all failed ones', () => {
    const draws = [0, 0.09, 0.1, 0.5, 0.05, 0.99]
    const isLogged = createIsLogged(parseLoggedRequests('0.1'), () => draws.shift() ?? 1)
    expect([200, 200, 500, 200, 503, 200, 401, 200].map(isLogged)).toEqual([
      true,
      true,
      true,
      false,
      true,
      false,
      true,
      false,
    ])
  })

  test.each(['', '0', '1', '0.0', '1.5', '-0.1', '.5', '0.', '5%', 'every', '1e-3', '0.1234567'])(
    'rejects %j',
    (text) => {
      expect(() => parseLoggedRequests(text)).toThrow('must be all, errors, off, or a share')
    },
  )
})
