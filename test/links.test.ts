import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dir, '..')
// Bun's Glob finds nothing for braces around alternatives of several folders.
const patterns = ['*.md', '{docs,src,examples,deploy,bench}/**/*.md']
const pages = patterns.flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(root)]).sort()

function withoutCode(markdown: string): string {
  return markdown.replace(/^ *```[\s\S]*?^ *```/gm, '').replace(/`[^`\n]*`/g, 'code')
}

/** Returns the relative links of a page: `file#anchor`, either part optional. */
function linksOf(page: string): string[] {
  const text = withoutCode(readFileSync(join(root, page), 'utf8'))
  return [...text.matchAll(/\]\(((?!\w+:)[^)\s]+)\)/g)].map(([, target = '']) => target)
}

/** Returns the anchors of a page's headings, as GitHub makes them. */
function anchorsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/^ *```[\s\S]*?^ *```/gm, '')
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .replace(/\]\([^)]*\)/g, '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('links', () => {
  test('are found', () => {
    expect(pages.length).toBeGreaterThan(20)
    expect(linksOf('README.md').length).toBeGreaterThan(10)
  })

  test.each(pages)('of %s lead to existing files and headings', (page) => {
    const broken = linksOf(page).filter((link) => {
      const [path = '', anchor] = link.split('#')
      const file = path === '' ? join(root, page) : join(root, dirname(page), path)
      return !existsSync(file) || (anchor !== undefined && !anchorsOf(file).includes(anchor))
    })
    expect(broken).toEqual([])
  })
})
