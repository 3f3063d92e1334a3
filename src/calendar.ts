const timestamp = /^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/

/**
 * Returns whether a text is a time of RFC 3339 §5.6, seconds optional, that PostgreSQL can store.
 */
export function isTime(text: string): boolean {
  return timestamp.test(text) && isInCalendar(text)
}

/**
 * Returns whether an ISO 8601 time exists and PostgreSQL can store it. JavaScript reads February 30
 * as a day in March, and the database has no year 0. In UTC the year must be 0001 to 9999.
 */
export function isInCalendar(moment: string): boolean {
  const day = moment.slice(0, 'YYYY-MM-DD'.length)
  const [time, midnight] = [Date.parse(moment), Date.parse(`${day}T00:00Z`)]
  if (Number.isNaN(time) || Number.isNaN(midnight)) return false
  return new Date(midnight).toISOString().startsWith(day) && /^(?!0000)\d/.test(new Date(time).toISOString())
}
