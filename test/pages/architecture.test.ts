import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from '@typescript/typescript6'
import { temporaryDirectory } from '../endOfFile.ts'

const root = join(import.meta.dir, '../..')
const files = [...new Bun.Glob('src/**/*.tsx').scanSync(root)].sort()
const textOf = (file: string) => readFileSync(join(root, file), 'utf8')

const forbidden = /^(style|dangerouslySetInnerHTML|srcdoc|srcDoc|srcset|srcSet|xlink:?href|ref|on[A-Z].*|on[a-z]+)$/i
const urls = /^(href|action|formaction|src|poster|ping|cite|data|background)$/i
/** Components of ours may have such a property; only elements send it to the browser. */
const isElement = (name: string) => /^[a-z]/.test(name)

/** Returns the attributes that the rules for pages forbid. */
function violationsOf(file: string, text: string): string[] {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX)
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isJsxSpreadAttribute(node)) found.push(node.getText())
    if (ts.isJsxAttribute(node)) {
      const name = node.name.getText()
      const element = node.parent.parent.tagName.getText()
      const isLink = /^\{link\(.*\)\}$/s.test(node.initializer?.getText() ?? '')
      if (forbidden.test(name) || (urls.test(name) && isElement(element) && !isLink)) found.push(node.getText())
    }
    if (ts.isAsExpression(node) && /\bLink\b/.test(node.type.getText())) found.push(node.getText())
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return found
}

const unsafe = `
import { link } from './elsewhere.ts'
export const Unsafe = (props: { readonly url: string }) => (
  <p style="color: red" {...props} dangerouslySetInnerHTML={{ __html: props.url }}>
    <a href={props.url} onClick={() => {}}>x</a>
    <form action={'x' + link(props.url)} />
    <script src="https://evil.example" />
  </p>
)
`

describe('the rules for pages', () => {
  test('cover every .tsx file of the source, and all of them are in pages', () => {
    expect(files.length).toBeGreaterThan(8)
    expect(files.filter((file) => !/^src\/pages\/[^/]+$/.test(file))).toEqual([])
  })

  test.each(files)('%s has no style, raw markup, handler, spread or URL without link()', (file) => {
    expect(violationsOf(file, textOf(file))).toEqual([])
  })

  test('find each kind of violation', () => {
    expect(violationsOf('unsafe.tsx', unsafe)).toEqual([
      'style="color: red"',
      '{...props}',
      'dangerouslySetInnerHTML={{ __html: props.url }}',
      'href={props.url}',
      'onClick={() => {}}',
      "action={'x' + link(props.url)}",
      'src="https://evil.example"',
    ])
  })

  test('are lint rules too', () => {
    const directory = temporaryDirectory('lint')
    const settings = JSON.parse(textOf('biome.json'))
    writeFileSync(join(directory, 'biome.json'), JSON.stringify({ ...settings, vcs: { enabled: false } }))
    cpSync(join(root, 'deploy/lint'), join(directory, 'deploy/lint'), { recursive: true })
    mkdirSync(join(directory, 'src/pages'), { recursive: true })
    const lint = (text: string) => {
      writeFileSync(join(directory, 'src/pages/page.tsx'), text)
      const biome = join(root, 'node_modules/.bin/biome')
      return spawnSync(biome, ['lint', '--colors=off'], { cwd: directory, encoding: 'utf8' })
    }
    const { status, stderr } = lint(unsafe)
    expect(status).not.toBe(0)
    expect(stderr.match(/Pages have no inline style, markup or event handler/g)).toHaveLength(3)
    expect(stderr.match(/Name each attribute/g)).toHaveLength(1)
    expect(stderr.match(/Make every URL with link\(\)/g)).toHaveLength(3)
    expect(lint(textOf('src/pages/signOut.tsx')).status).toBe(0)
  })

  test.each(files)('%s takes link only from link.ts, and from preact only types', (file) => {
    const text = textOf(file)
    const imports = [...text.matchAll(/^import (type )?(.*?) from '([^']+)'/gms)]
    const links = imports.filter(([, , names]) => /\blink\b/.test(names ?? '')).map(([, , , path]) => path)
    expect(links.filter((path) => path !== './link.ts')).toEqual([])
    expect(text).not.toMatch(/\b(const|let|function) link\b/)
    const values = imports.filter(([, isType, , path]) => !isType && path?.startsWith('preact'))
    expect(values.map(([, , , path]) => path)).toEqual(file.endsWith('shell.tsx') ? ['preact-render-to-string'] : [])
  })
})
