/** Only rises. */
export interface Counter {
  add(amount?: number): void
}

/** Counts values by size, so that shares and quantiles of many processes can be taken together. */
export interface Histogram {
  observe(value: number): void
}

/** The series of some label values, in the order of the labels' names. Who needs one again and again keeps it. */
export type ByLabels<Series> = (...values: readonly string[]) => Series

/** Numbers of this process, by name, as Prometheus reads them. Every label value comes from a closed set: each makes a series. */
export interface MetricsRegistry {
  counter(name: string, help: string, labels?: readonly string[]): ByLabels<Counter>
  /** `bounds` rise; a value counts in each bucket whose bound it does not exceed. */
  histogram(name: string, help: string, bounds: readonly number[], labels?: readonly string[]): ByLabels<Histogram>
  /** A number that is read when it is asked for; left out while `read` answers undefined, throws or rejects. */
  observable(type: 'gauge' | 'counter', name: string, help: string, read: Read, labels?: Labels): void
  /** All of them in the text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). */
  render(): Promise<string>
}

export type Read = () => number | undefined | Promise<number | undefined>
type Labels = Readonly<Record<string, string>>

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Its lines, without those that describe it. */
  readonly lines: () => readonly string[] | Promise<readonly string[]>
}

export function createMetricsRegistry(): MetricsRegistry {
  const families: Family[] = []
  return {
    counter: (name, help, labels = []) => {
      const series = createSeries(labels, createCounter)
      families.push({ name, help, type: 'counter', lines: () => series.all().flatMap((one) => one.lines(name)) })
      return series.of
    },
    histogram: (name, help, bounds, labels = []) => {
      const series = createSeries(labels, (shown) => createHistogram(bounds, shown))
      families.push({ name, help, type: 'histogram', lines: () => series.all().flatMap((one) => one.lines(name)) })
      return series.of
    },
    observable: (type, name, help, read, labels = {}) => {
      const shown = `${name}${braced(pairs(Object.keys(labels), Object.values(labels)))}`
      families.push({ name, help, type, lines: async () => (await valuesOf(read)).map((value) => `${shown} ${value}`) })
    },
    render: async () => (await Promise.all(families.map(describeFamily))).join(''),
  }
}

async function describeFamily({ name, help, type, lines }: Family): Promise<string> {
  const shown = await lines()
  return shown.length === 0 ? '' : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${shown.join('\n')}\n`
}

async function valuesOf(read: Read): Promise<number[]> {
  try {
    const value = await read()
    return value === undefined ? [] : [value]
  } catch {
    return []
  }
}

/** Each series is made when its label values come for the first time. */
function createSeries<One>(names: readonly string[], make: (labels: string) => One) {
  const made = new Map<string, One>()
  const of = (...values: readonly string[]): One => {
    const labels = pairs(names, values)
    const known = made.get(labels)
    if (known) return known
    const one = make(labels)
    made.set(labels, one)
    return one
  }
  // What has no labels is there from the start: a rate needs the 0 before the 1.
  if (names.length === 0) of()
  return { of, all: () => [...made.values()] }
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
