/** A number that only increases. */
export interface Counter {
  add(amount?: number): void
}

/** Counts values in buckets, so that quantiles can be taken over many processes. */
export interface Histogram {
  observe(value: number): void
}

/**
 * Returns the series for label values, in the order of the label names. Callers on a hot path keep
 * it.
 */
export type ByLabels<Series> = (...values: readonly string[]) => Series

/** The metrics of this process. Label values come from a closed set, since each makes a series. */
export interface MetricsRegistry {
  counter(name: string, help: string, labels?: readonly string[]): ByLabels<Counter>
  /** `bounds` increase. A value counts in each bucket whose bound it does not exceed. */
  histogram(name: string, help: string, bounds: readonly number[], labels?: readonly string[]): ByLabels<Histogram>
  /** A value read at scrape time. Left out if `read` returns undefined, throws or rejects. */
  observable(type: 'gauge' | 'counter', name: string, help: string, read: Read, labels?: Labels): void
  /**
   * Renders all metrics in text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
   */
  render(): Promise<string>
}

export type Read = () => number | undefined | Promise<number | undefined>
type Labels = Readonly<Record<string, string>>

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** The sample lines, without HELP and TYPE. */
  readonly lines: () => readonly string[] | Promise<readonly string[]>
}

export function createMetricsRegistry(): MetricsRegistry {
  const families: Family[] = []
  /** The series of observed metrics, which are registered one by one. */
  const observed = new Map<string, (() => Promise<string[]>)[]>()
  return {
    counter: (name, help, labels = []) => {
      const series = createSeries(labels, createCounter)
      families.push({ name, help, type: 'counter', lines: () => series.all().flatMap((one) => one.lines(name)) })
      return series.of
    },
    histogram: (name, help, bounds, labels = []) => {
      const series = createSeries(labels, (rendered) => createHistogram(bounds, rendered))
      families.push({ name, help, type: 'histogram', lines: () => series.all().flatMap((one) => one.lines(name)) })
      return series.of
    },
    observable: (type, name, help, read, labels = {}) => {
      const rendered = `${name}${braced(pairs(Object.keys(labels), Object.values(labels)))}`
      const lines = async () => (await valuesOf(read)).map((value) => `${rendered} ${value}`)
      const known = observed.get(name)
      if (known) {
        known.push(lines)
        return
      }
      const series = [lines]
      observed.set(name, series)
      families.push({ name, help, type, lines: async () => (await Promise.all(series.map((one) => one()))).flat() })
    },
    render: async () => (await Promise.all(families.map(describeFamily))).join(''),
  }
}

async function describeFamily({ name, help, type, lines }: Family): Promise<string> {
  const rendered = await lines()
  return rendered.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${rendered.join('\n')}\n`
}

async function valuesOf(read: Read): Promise<number[]> {
  try {
    const value = await read()
    return value === undefined ? [] : [value]
  } catch {
    return []
  }
}

/** Creates each series when its label values first appear. */
function createSeries<One>(names: readonly string[], make: (labels: string) => One) {
  const byLabels = new Map<string, One>()
  const of = (...values: readonly string[]): One => {
    const labels = pairs(names, values)
    const known = byLabels.get(labels)
    if (known) return known
    const one = make(labels)
    byLabels.set(labels, one)
    return one
  }
  // A series without labels exists from the start: a rate needs the 0 before the 1.
  if (names.length === 0) of()
  return { of, all: () => [...byLabels.values()] }
}

function createCounter(labels: string) {
  let total = 0
  return {
    add: (amount = 1) => {
      total += amount
    },
    lines: (name: string) => [`${name}${braced(labels)} ${total}`],
  }
}

function createHistogram(bounds: readonly number[], labels: string) {
  const counts = new Float64Array(bounds.length + 1)
  let sum = 0
  return {
    observe: (value: number) => {
      let at = 0
      while (at < bounds.length && value > (bounds[at] as number)) at++
      counts[at] = (counts[at] as number) + 1
      sum += value
    },
    lines: (name: string) => {
      let below = 0
      const buckets = [...bounds, '+Inf'].map((bound, at) => {
        below += counts[at] as number
        return `${name}_bucket${braced([labels, `le="${bound}"`].filter(Boolean).join(','))} ${below}`
      })
      return [...buckets, `${name}_sum${braced(labels)} ${sum}`, `${name}_count${braced(labels)} ${below}`]
    },
  }
}

function pairs(names: readonly string[], values: readonly string[]): string {
  return names.map((name, at) => `${name}="${escaped(values[at] ?? '')}"`).join(',')
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
}
