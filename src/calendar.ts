/**
 * Whether a moment of ISO 8601 is one: JavaScript reads 30 February as a day of March, and the database knows no year 0. In UTC, as
 * everything is kept and shown, it is of the years 0001 to 9999: beyond, JavaScript writes what the database does not read.
 */
export function isInCalendar(moment: string): boolean {
  const day = moment.slice(0, 'YYYY-MM-DD'.length)
  const [time, midnight] = [Date.parse(moment), Date.parse(`${day}T00:00Z`)]
  if (Number.isNaN(time) || Number.isNaN(midnight)) return false
  return new Date(midnight).toISOString().startsWith(day) && /^(?!0000)\d/.test(new Date(time).toISOString())
}
