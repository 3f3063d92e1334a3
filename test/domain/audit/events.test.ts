import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from '@typescript/typescript6'

const root = join(import.meta.dir, '../../..')
const eventsFile = join(root, 'src/domain/audit/events.ts')

/** The members of each event in the union, by the compiler's own reading. */
function declaredEvents(): ReadonlyMap<string, readonly string[]> {
  const program = ts.createProgram([eventsFile], { strict: true, noEmit: true, allowImportingTsExtensions: true })
  const file = program.getSourceFile(eventsFile)
  const checker = program.getTypeChecker()
  const declaration = file?.statements.filter(ts.isTypeAliasDeclaration).find(({ name }) => name.text === 'AuditEvent')
  const union = declaration && checker.getTypeAtLocation(declaration.name)
  const members = union?.isUnion() ? union.types : []
  return new Map(
    members.map((member) => {
      const event = member.getProperty('event') as ts.Symbol
      const type = checker.getTypeOfSymbol(event) as ts.StringLiteralType
      const names = checker.getPropertiesOfType(member).map(({ name }) => name)
      return [type.value, names.filter((name) => name !== 'event').sort()]
    }),
  )
}

function documentedEvents(): ReadonlyMap<string, readonly string[]> {
  const page = readFileSync(join(root, 'docs/operations.md'), 'utf8')
  const section = page.split('\n### Audit events\n')[1]?.split('\n## ')[0] ?? ''
  const rows = section.matchAll(/^\| `([a-z_.]+)` \| .* \|(.*) \|$/gm)
  return new Map(
    [...rows].map(([, event = '', members = '']) => [
      event,
      [...members.matchAll(/`([a-z_]+)`/g)].map(([, name = '']) => name).sort(),
    ]),
  )
}

describe('audit events', () => {
  const declared = declaredEvents()

  test('the documentation lists every event and no other', () => {
    expect(declared.size).toBeGreaterThan(25)
    expect([...documentedEvents().keys()].sort()).toEqual([...declared.keys()].sort())
  })

  test('the service records every event', () => {
    const files = [...new Bun.Glob('**/*.ts').scanSync(join(root, 'src'))].filter(
      (file) => !/^domain\/(audit\/(events|record)|history\/phrases)\.ts$/.test(file),
    )
    const text = files.map((file) => readFileSync(join(root, 'src', file), 'utf8')).join('')
    expect([...declared.keys()].filter((event) => !text.includes(`'${event}'`))).toEqual([])
  })

  test.each([...declared])('the documentation lists the members of %s', (event, members) => {
    expect(documentedEvents().get(event)).toEqual(members)
  })
})
