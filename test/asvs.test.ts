import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'

// These pages cite tests as evidence, so every cited test must exist.

const root = `${import.meta.dir}/..`
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8')
const asvs = read('docs/asvs.md')

/** The number of requirements per section in version 5.0.0. */
const sections: Readonly<Record<string, number>> = {
  ...{ '6.1': 3, '6.2': 12, '6.3': 8, '6.4': 6, '6.5': 8, '6.6': 4, '6.7': 2, '6.8': 4 },
  ...{ '7.1': 3, '7.2': 4, '7.3': 2, '7.4': 5, '7.5': 3, '7.6': 2 },
  ...{ '8.1': 4, '8.2': 4, '8.3': 3, '8.4': 2 },
  ...{ '9.1': 3, '9.2': 4 },
  ...{ '10.1': 2, '10.2': 3, '10.3': 5, '10.4': 16, '10.5': 5, '10.6': 2, '10.7': 3 },
  ...{ '11.1': 4, '11.2': 5, '11.3': 5, '11.4': 4, '11.5': 2, '11.6': 2, '11.7': 2 },
  ...{ '16.1': 1, '16.2': 5, '16.3': 4, '16.4': 3, '16.5': 4 },
}

const inapplicable = 'does not apply'
const statuses = ['met', 'partly', 'not', inapplicable]

interface Row {
  readonly number: string
  readonly level: string
  readonly status: string
  readonly shownBy: string
}

const rows: readonly Row[] = [...asvs.matchAll(/^\| (\d+\.\d+\.\d+) \| (\d) \| (.*) \|$/gm)].map(
  ([, number = '', level = '', rest = '']) => {
    const [, status = '', , shownBy = ''] = rest.split('|').map((cell) => cell.trim())
    return { number, level, status, shownBy }
  },
)

const left = [...asvs.matchAll(/^- Does not apply: (.*?)\. /gm)].flatMap(([, list = '']) =>
  list.split(', ').flatMap(span),
)

/** `6.5.1 to 6.5.3` is three requirements. */
function span(text: string): string[] {
  const [from = '', to = from] = text.split(' to ')
  const section = from.slice(0, from.lastIndexOf('.'))
  const [first, last] = [from, to].map((number) => Number(number.slice(section.length + 1)))
  return Array.from({ length: (last ?? 0) - (first ?? 0) + 1 }, (_, index) => `${section}.${(first ?? 0) + index}`)
}

function count(chapter: string, status: string): number {
  const isOurs = (number: string) => number.startsWith(`${chapter}.`)
  if (status === inapplicable) return left.filter(isOurs).length
  return rows.filter((row) => isOurs(row.number) && row.status === status).length
}

describe('docs/asvs.md', () => {
  test('covers each requirement once', () => {
    const all = Object.entries(sections).flatMap(([section, size]) =>
      Array.from({ length: size }, (_, index) => `${section}.${index + 1}`),
    )
    expect([...rows.map(({ number }) => number), ...left].sort()).toEqual(all.sort())
  })

  test('cites a test or a page for each claim', () => {
    for (const { number, status, shownBy } of rows) {
      expect(`${number} ${statuses.indexOf(status)}`).not.toBe(`${number} -1`)
      expect(`${number} ${shownBy !== ''}`).toBe(`${number} ${status !== 'not'}`)
    }
  })

  test('has correct totals', () => {
    for (const chapter of new Set(Object.keys(sections).map((section) => section.split('.')[0] ?? ''))) {
      const counts = statuses.map((status) => count(chapter, status))
      expect(asvs).toContain(`| V${chapter} | ${counts.join(' | ')} |`)
    }
    const open = rows.filter(({ level, status }) => level === '1' && status !== 'met')
    expect(asvs).toContain(`Of level 1, *not* or *partly*: ${open.map(({ number }) => number).join(', ')}.`)
  })
})

describe.each(['docs/asvs.md', 'SECURITY.md'])('the tests cited by %s', (page) => {
  const text = read(page)
  const named = [...text.matchAll(/`(test\/[^`]+)`((?:,? \*[^*]+\*)+)/g)].flatMap(([, file = '', names = '']) =>
    [...names.matchAll(/\*([^*]+)\*/g)].map(([, name = '']) => [file, name] as const),
  )

  test('are cited with their file', () => {
    expect(named.length).toBeGreaterThan(20)
    expect(new Set(named.map(([file]) => file))).toEqual(
      new Set([...text.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => file ?? '')),
    )
  })

  test.each(named)('%s has %s', (file, name) => {
    expect(existsSync(`${root}/${file}`)).toBe(true)
    const source = read(file)
    expect(["'", '"', '`'].some((quote) => source.includes(quote + name + quote))).toBe(true)
  })

  test('and the linked headings exist', () => {
    for (const [, target = ''] of text.matchAll(/\]\(((?!https?:)[^)]*)\)/g)) {
      const [file = '', anchor] = target.split('#')
      const path = new URL(file || page.replace(/.*\//, ''), `file://${root}/${page}`).pathname
      const headings = [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      )
      if (anchor !== undefined) expect(headings).toContain(anchor)
    }
  })
})
