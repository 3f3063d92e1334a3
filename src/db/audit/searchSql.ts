export interface EventCriteria {
  /**
   * Records at or after this time, and before that one. They are then read in the order of time.
   */
  readonly since?: Date | undefined
  readonly until?: Date | undefined
  readonly type?: string | undefined
  readonly outcome?: string | undefined
  readonly by?: string | undefined
  readonly about?: string | undefined
  /** By this user or about this user. */
  readonly of?: string | undefined
  /** From this index on. */
  readonly from?: number | undefined
  /** Below this index. */
  readonly below?: number | undefined
}

/** Where a scan stopped. `time` is in microseconds since 1970, if records are read by time. */
export interface ScanPosition {
  readonly index: string
  readonly time: string | null
}

export type ScanOrder = 'newest' | 'oldest'

export interface Scan {
  readonly criteria: EventCriteria
  /** The criterion by whose index records are read. */
  readonly by: ScanIndex
  readonly order: ScanOrder
  readonly after: ScanPosition | undefined
  /** Records to return, at most. */
  readonly limit: number
}

/** The index of the criterion is read. `index`: the primary key. */
export type ScanIndex = 'index' | 'time' | NarrowingCriterion
export type NarrowingCriterion = 'of' | 'by' | 'about' | 'type' | 'outcome'

/** Those that usually leave the fewest records come first. */
const narrowingCriteria: readonly NarrowingCriterion[] = ['of', 'by', 'about', 'type', 'outcome']

/** Returns the criteria that have an index of their own. */
export function narrowingOf(criteria: EventCriteria): readonly NarrowingCriterion[] {
  return narrowingCriteria.filter((name) => criteria[name] !== undefined)
}

/** A query for the columns `index`, `time` and `is_match` of records. */
export interface Candidates {
  readonly sql: string
  readonly values: readonly string[]
}

type Read = Pick<Scan, 'criteria' | 'by' | 'order' | 'after'>

const maxIndex = '9223372036854775807'
/** Times outside of these are none that the service wrote. */
const [beginning, end] = ['0001-01-01T00:00:00Z', '10000-01-01T00:00:00Z']

/**
 * Returns whether matching records are read in the order of time. Otherwise it is that of indexes.
 */
export function readsByTime({ since, until }: EventCriteria): boolean {
  return since !== undefined || until !== undefined
}

/** Returns the next records of an index in its order, `limit` at most. */
export function candidatesOf(read: Read, limit: number): Candidates {
  const parameters = createParameters()
  const { criteria, by, order } = read
  const direction = order === 'newest' ? 'DESC' : 'ASC'
  const isMatch = `(${[...boundsOf(criteria, parameters), ...filtersOf(criteria, by, parameters)].join(' AND ')})`
  const select = `SELECT index, time, ${isMatch} AS is_match FROM audittrail_audit_events WHERE`
  const { low, high } = rangeOf(read)
  switch (by) {
    case 'index': {
      const range = `index >= ${parameters.add(low, 'bigint')} AND index < ${parameters.add(high, 'bigint')}`
      return parameters.query(`${select} ${range} ORDER BY index ${direction} LIMIT ${limit}`)
    }
    case 'time':
      return parameters.query(
        `${select} ${timeRangeOf(read, parameters)} ORDER BY time ${direction}, index ${direction} LIMIT ${limit}`,
      )
    case 'of': {
      const user = parameters.add(criteria.of ?? '', 'uuid')
      const ofColumn = (column: string) =>
        `(${select} ${rangeIn(column, user, low, high, parameters)} ORDER BY ${column} ${direction}, index ${direction} LIMIT ${limit})`
      return parameters.query(
        `SELECT * FROM (${ofColumn('by_id')} UNION ${ofColumn('about_id')}) either ORDER BY index ${direction} LIMIT ${limit}`,
      )
    }
    default: {
      const [column, type] = columns[by]
      const value = parameters.add(criteria[by] ?? '', type)
      const condition = rangeIn(column, value, low, high, parameters)
      return parameters.query(
        `${select} ${condition} ORDER BY ${column} ${direction}, index ${direction} LIMIT ${limit}`,
      )
    }
  }
}

/**
 * Returns all records of an index, `limit` at most, of which those match that come next by time.
 */
export function collectedOf(read: Read, limit: number): Candidates {
  const { sql, values } = candidatesOf({ ...read, after: undefined }, limit)
  const parameters = createParameters(values)
  return parameters.query(
    `SELECT index, time, is_match AND ${timeRangeOf(read, parameters)} AS is_match FROM (${sql}) collected`,
  )
}

const columns = {
  by: ['by_id', 'uuid'],
  about: ['about_id', 'uuid'],
  type: ['type', 'text'],
  outcome: ['outcome', 'text'],
} as const

function createParameters(known: readonly string[] = []) {
  const values = [...known]
  return {
    add: (value: string, type: string): string => `$${values.push(value)}::${type}`,
    query: (sql: string): Candidates => ({ sql, values }),
  }
}

type Parameters = ReturnType<typeof createParameters>

/**
 * Matches one value of a column and a range of indexes. An equality would let the planner read
 * another index in its order, and skip most of the log if it errs on how many records have the
 * value.
 */
function rangeIn(column: string, value: string, low: string, high: string, parameters: Parameters): string {
  return `${column} >= ${value} AND ROW(${column}, index) >= ROW(${value}, ${parameters.add(low, 'bigint')})
    AND ROW(${column}, index) < ROW(${value}, ${parameters.add(high, 'bigint')})`
}

/** Returns the first index, and the one after the last. */
function rangeOf({ criteria, order, after }: Read): { low: string; high: string } {
  const [from, below] = [BigInt(criteria.from ?? 0), BigInt(criteria.below ?? maxIndex)]
  if (!after || readsByTime(criteria)) return { low: String(from), high: String(below) }
  const at = BigInt(after.index)
  return order === 'newest'
    ? { low: String(from), high: String(at < below ? at : below) }
    : { low: String(at >= from ? at + 1n : from), high: String(below) }
}

function timeRangeOf({ criteria, order, after }: Read, parameters: Parameters): string {
  const since = parameters.add(criteria.since?.toISOString() ?? beginning, 'timestamptz')
  const until = parameters.add(criteria.until?.toISOString() ?? end, 'timestamptz')
  const range = `time >= ${since} AND time < ${until}`
  if (!after) return range
  const at = `timestamptz 'epoch' + ${parameters.add(after.time ?? '0', 'bigint')} * interval '1 microsecond'`
  const sign = order === 'newest' ? '<' : '>'
  return `${range} AND ROW(time, index) ${sign} ROW(${at}, ${parameters.add(after.index, 'bigint')})`
}

/** Bounds of the index that the order of time does not use. */
function boundsOf({ from, below }: EventCriteria, parameters: Parameters): string[] {
  return [
    'true',
    ...(from === undefined ? [] : [`index >= ${parameters.add(String(from), 'bigint')}`]),
    ...(below === undefined ? [] : [`index < ${parameters.add(String(below), 'bigint')}`]),
  ]
}

/** The criteria besides the one whose index is read. A missing party matches no id. */
function filtersOf(criteria: EventCriteria, by: Read['by'], parameters: Parameters): string[] {
  const equal = (name: Exclude<NarrowingCriterion, 'of'>) => {
    const [column, type] = columns[name]
    const value = criteria[name]
    return value === undefined || name === by ? [] : [`${column} IS NOT DISTINCT FROM ${parameters.add(value, type)}`]
  }
  const user = criteria.of === undefined || by === 'of' ? undefined : parameters.add(criteria.of, 'uuid')
  return [
    ...(['by', 'about', 'type', 'outcome'] as const).flatMap(equal),
    ...(user ? [`(by_id IS NOT DISTINCT FROM ${user} OR about_id IS NOT DISTINCT FROM ${user})`] : []),
  ]
}
