import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'

// These pages cite tests as evidence, so every cited test must exist.

const root = `${import.meta.dir}/..`
const read = (file: string) => readFileSync(`${root}/${file}`, 'utf8')
const asvs = read('docs/asvs.md')

/** The level of each requirement, by section, in version 5.0.0. */
const levels: Readonly<Record<string, string>> = {
  ...{ '6.1': '122', '6.2': '111111112222', '6.3': '11223333', '6.4': '112233' },
  ...{ '6.5': '22222333', '6.6': '2223', '6.7': '33', '6.8': '2222' },
  ...{ '7.1': '222', '7.2': '1111', '7.3': '22', '7.4': '11222', '7.5': '223', '7.6': '22' },
  ...{ '8.1': '1233', '8.2': '1123', '8.3': '133', '8.4': '23' },
  ...{ '9.1': '111', '9.2': '1222' },
  ...{ '10.1': '22', '10.2': '223', '10.3': '22223', '10.4': '1111122222233333' },
  ...{ '10.5': '22222', '10.6': '22', '10.7': '222' },
  ...{ '11.1': '2233', '11.2': '22233', '11.3': '11233', '11.4': '1222', '11.5': '23', '11.6': '23', '11.7': '33' },
  ...{ '16.1': '2', '16.2': '22222', '16.3': '2222', '16.4': '222', '16.5': '2223' },
}

const inapplicable = 'does not apply'
const statuses = ['met', 'partly', 'not', inapplicable]

interface Requirement {
  readonly number: string
  readonly level: string
  readonly status: string
}

interface Row extends Requirement {
  readonly evidence: string
}

const rows: readonly Row[] = [...asvs.matchAll(/^\| (\d+\.\d+\.\d+) \| (\d) \| (.*) \|$/gm)].map(
  ([, number = '', level = '', rest = '']) => {
    const [, status = '', , evidence = ''] = rest.split('|').map((cell) => cell.trim())
    return { number, level, status, evidence }
  },
)

const excluded: readonly Requirement[] = [...asvs.matchAll(/^- Does not apply \(level (\d)\): (.*?)\. /gm)].flatMap(
  ([, level = '', list = '']) =>
    list
      .split(', ')
      .flatMap(span)
      .map((number) => ({ number, level, status: inapplicable })),
)

const requirements: readonly Requirement[] = [...rows, ...excluded]

/** `6.5.1 to 6.5.3` is three requirements. */
function span(text: string): string[] {
  const [from = '', to = from] = text.split(' to ')
  const section = from.slice(0, from.lastIndexOf('.'))
  const [first, last] = [from, to].map((number) => Number(number.slice(section.length + 1)))
  return Array.from({ length: (last ?? 0) - (first ?? 0) + 1 }, (_, index) => `${section}.${(first ?? 0) + index}`)
}

/** Returns the cells of a totals row: how many requirements have each status. */
function totals(isCounted: (requirement: Requirement) => boolean): string {
  const counted = requirements.filter(isCounted)
  return statuses.map((status) => counted.filter((requirement) => requirement.status === status).length).join(' | ')
}

const chapterOf = (number: string) => number.slice(0, number.indexOf('.'))

describe('docs/asvs.md', () => {
  test('covers each requirement once, with its level', () => {
    const all = Object.entries(levels).flatMap(([section, digits]) =>
      [...digits].map((level, index) => `${section}.${index + 1} level ${level}`),
    )
    expect(requirements.map(({ number, level }) => `${number} level ${level}`).sort()).toEqual(all.sort())
  })

  test('cites a test or a page for each claim', () => {
    for (const { number, status, evidence } of rows) {
      expect(`${number} ${statuses.indexOf(status)}`).not.toBe(`${number} -1`)
      expect(`${number} ${evidence !== ''}`).toBe(`${number} ${status !== 'not'}`)
    }
  })

  test('starts with the correct totals', () => {
    const [summary = ''] = asvs.split('\n## ')
    for (const level of ['1', '2', '3'])
      expect(summary).toContain(`| ${level} | ${totals((requirement) => requirement.level === level)} |`)
    for (const chapter of new Set(Object.keys(levels).map(chapterOf))) {
      const cells = totals(({ number }) => chapterOf(number) === chapter)
      expect(summary).toMatch(new RegExp(`^\\| \\[V${chapter} .*\\) \\| ${cells.replaceAll('|', '\\|')} \\|$`, 'm'))
    }
    const open = rows.filter(({ level, status }) => level === '1' && status !== 'met')
    expect(summary).toContain(`Level 1, partly or not met: ${open.map(({ number }) => number).join(', ')}.`)
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
})
