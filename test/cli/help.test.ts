import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { commandGroups, commands } from '../../src/cli/commandTable.ts'
import { helpText } from '../../src/cli/help.ts'
import { wrap } from '../../src/cli/terminal/wrap.ts'
import type { Setting } from '../../src/config/parsers.ts'
import { settings } from '../../src/config/settings.ts'

const full = helpText(undefined, [], commandGroups)
const settingsPage = helpText(undefined, ['settings'], commandGroups)

describe('the help', () => {
  test('lists every command under the heading of its group', () => {
    for (const { name, summary } of commands) {
      expect(full).toContain(`\n  ${name} `)
      expect(full).toContain(summary.split(' ')[0] ?? '')
    }
    const headings = [...full.matchAll(/^(\S.*):$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual([...commandGroups.map(({ heading }) => heading), 'Global flags'])
    expect(full.split('\n\n').find((part) => part.startsWith('Keys:'))).toContain('\n  apikey create NAME')
  })

  test('fits on one screen, and names the page of the settings', () => {
    expect(full.split('\n').length).toBeLessThan(60)
    expect(full.replace(/\s+/g, ' ')).toContain('"audittrail help settings"')
  })

  test('of the settings lists every setting', () => {
    for (const { env } of Object.values<Setting<unknown>>(settings)) expect(settingsPage).toContain(`\n  ${env} `)
  })

  test('of a group lists only the commands of the group', () => {
    const listed = [...helpText(undefined, ['user'], commandGroups).matchAll(/^ {2}(user \w+)/gm)].map(
      ([, name]) => name,
    )
    expect(listed).toEqual(commands.map(({ name }) => name).filter((name) => name.startsWith('user ')))
  })

  test('of an unknown word is the whole help', () => {
    expect(helpText(undefined, ['fly'], commandGroups)).toBe(full)
  })

  test.each(commands.map((command) => [command.name, command] as const))('of %s lists its flags', (name, command) => {
    const text = helpText(command, name.split(' '), commandGroups)
    expect(text).toContain(`\nUsage: audittrail ${name}`)
    for (const flag of Object.keys(command.flags)) expect(text).toContain(`\n  --${flag}`)
  })

  test('fits into 80 columns', () => {
    const texts = [full, settingsPage, ...commands.map((command) => helpText(command, [], commandGroups))]
    expect(texts.flatMap((text) => text.split('\n')).filter((line) => line.length > 80)).toEqual([])
  })
})

describe('wrapping', () => {
  test('keeps all words in lines that fit, unless a word is longer than a line', () => {
    const words = fc.array(fc.stringMatching(/^\S{1,12}$/), { minLength: 1 })
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 30 }), (words, width) => {
        const lines = wrap(words.join(' '), width)
        expect(lines.join(' ')).toBe(words.join(' '))
        for (const line of lines) expect(line.length <= width || !line.includes(' ')).toBe(true)
      }),
    )
  })
})
