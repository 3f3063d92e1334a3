/** Which requests get a line in the log: a number is the share of those that did not fail here. */
export type LoggedRequests = 'all' | 'errors' | 'off' | number

/** `all`, `errors` (answered with 500 or above), `off`, or a share of the rest beside the errors. */
export function parseLoggedRequests(text: string): LoggedRequests {
  if (text === 'all' || text === 'errors' || text === 'off') return text
  if (/^0\.\d{1,6}$/.test(text) && Number(text) > 0) return Number(text)
  throw new Error('all, errors, off, or the share of requests that is logged beside all errors, such as 0.01')
}

/** Answers whether a request with this status gets a line. `random` answers from 0 to below 1. */
export function createIsLogged(logged: LoggedRequests, random: () => number): (status: number) => boolean {
  if (logged === 'all') return () => true
  if (logged === 'off') return () => false
  if (logged === 'errors') return (status) => status >= 500
  return (status) => status >= 500 || random() < logged
}
