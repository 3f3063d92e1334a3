import { describe, expect, test } from 'bun:test'
import { createIsLogged, parseLoggedRequests } from '../../src/config/loggedRequests.ts'

const statuses = [200, 204, 400, 401, 404, 429, 500, 503]

describe('the requests that get a line', () => {
  test.each([
    ['all', statuses],
    ['errors', [500, 503]],
    ['off', []],
  ] as const)('are, with %s, these', (text, expected) => {
    const isLogged = createIsLogged(parseLoggedRequests(text), () => 0)
    expect(statuses.filter(isLogged)).toEqual([...expected])
  })

  test('are a share of what went well, and all that failed', () => {
    const drawn = [0, 0.09, 0.1, 0.5, 0.05, 0.99]
    const isLogged = createIsLogged(parseLoggedRequests('0.1'), () => drawn.shift() ?? 1)
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

  test.each(['', '0', '1', '0.0', '1.5', '-0.1', '.5', '0.', '5%', 'ALL', '1e-3', '0.1234567'])(
    '%j is refused',
    (text) => {
      expect(() => parseLoggedRequests(text)).toThrow('all, errors, off, or the share')
    },
  )
})
