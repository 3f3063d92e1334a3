/** Which requests are logged. A number is the share of requests with a status below 500. */
export type LoggedRequests = 'all' | 'errors' | 'off' | number

/** Parses `all`, `errors`, `off` or a share between 0 and 1. */
export function parseLoggedRequests(text: string): LoggedRequests {
  const word = text.toLowerCase()
  if (word === 'all' || word === 'errors' || word === 'off') return word
  if (/^0\.\d{1,6}$/.test(text) && Number(text) > 0) return Number(text)
  throw new Error('must be all, errors, off, or a share between 0 and 1 with up to six decimals, such as 0.01')
}

/** Returns a function that decides by status. `random` returns a number from 0 to below 1. */
export function createIsLogged(logged: LoggedRequests, random: () => number): (status: number) => boolean {
  if (logged === 'all') return () => true
  if (logged === 'off') return () => false
  if (logged === 'errors') return (status) => status >= 500
  return (status) => status >= 500 || random() < logged
}
