import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '..')

/** Words and phrases to avoid. Values such as `changed_meanwhile` do not match. */
const banned = [
  /\b(anew|whoever|somebody|nobody|meanwhile|how-manieth)\b/i,
  /\bmend(s|ed|ing)?\b/i,
  /\b(all the same|be it|as they are|passed over|once more|of its own accord)\b/i,
  /\b(turn|turns|turned|turning) away\b/i,
  /\bkee(p|ps|ping) (\w+ )?waiting\b/i,
  /\bis no (flag|command|good|setting)\b/i,
  /\bby the own\b|\bthe own\b/i,
  /(?:^|[.:;] )Who (?:is|are|was|has|have|may|can|cannot|does|do|needs|wants|knows)\b(?![^.]*\?)/m,
]

function findBanned(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line, at) => (banned.some((pattern) => pattern.test(line)) ? [`${at + 1}: ${line.trim()}`] : []))
}

function scan(...patterns: readonly string[]): string[] {
  const files = patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: root })])
  return files.filter((file) => !/node_modules|^dist/.test(file)).sort()
}

/** Blanks code, which has names and program output instead of prose. */
function withoutCode(markdown: string): string {
  const blank = (code: string) => code.replace(/[^\n]/g, ' ')
  return markdown.replace(/^```[\s\S]*?^```/gm, blank).replace(/`[^`\n]*`/g, blank)
}

/** Returns the titles given to `describe` and `test`. */
function titlesOf(source: string): string {
  return [...source.matchAll(/^\s*(?:(?:describe|test)[\w.]*\(|\]\)\(|)\s*'((?:[^'\\\n]|\\.){12,})',? /gm)]
    .map(([, title]) => title)
    .join('\n')
}

/** Returns the comments of more than 100 columns or three lines, without lines of delimiters. */
function longComments(source: string): string[] {
  const blocks = source.match(/^ *(?:\/\*[\s\S]*?\*\/|\/\/.*(?:\n *\/\/.*)*)/gm) ?? []
  return blocks.filter((block) => {
    const lines = block.split('\n').filter((line) => !/^ *(\/\*\*|\*\/)$/.test(line))
    return lines.length > 3 || lines.some((line) => line.length > 100)
  })
}

describe('prose', () => {
  test.each(scan('*.md', '{docs,src,examples,deploy}/**/*.md'))('%s is plain English', (file) => {
    expect(findBanned(withoutCode(readFileSync(join(root, file), 'utf8')))).toEqual([])
  })

  test.each(scan('{src,deploy,bench}/**/*.{ts,tsx}'))('%s is plain English', (file) => {
    expect(findBanned(readFileSync(join(root, file), 'utf8'))).toEqual([])
  })

  test.each(scan('{src,deploy,bench,test}/**/*.{ts,tsx}'))('the comments of %s are short', (file) => {
    expect(longComments(readFileSync(join(root, file), 'utf8'))).toEqual([])
  })

  test.each(scan('test/**/*.test.ts'))('the test titles of %s are plain English', (file) => {
    expect(findBanned(titlesOf(readFileSync(join(root, file), 'utf8')))).toEqual([])
  })
})
