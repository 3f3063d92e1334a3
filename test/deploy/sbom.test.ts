import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checksums } from '../../deploy/checksums.ts'
import { makeSbom, packagePath, type SbomInput } from '../../deploy/sbom.ts'
import manifest from '../../package.json' with { type: 'json' }
import { temporaryDirectory } from '../endOfFile.ts'

interface Sbom {
  readonly components: readonly {
    readonly purl: string
    readonly licenses?: readonly { readonly expression: string }[]
    readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
  }[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[]
}

const surroundings = { bunVersion: '1.4.5', postgresqlVersion: '18.6', timestamp: '2026-01-01T00:00:00.000Z' }

function sbomOf(input: Pick<SbomInput, 'manifest' | 'lock'> & Partial<SbomInput>): Sbom {
  return makeSbom({ licenseOf: () => 'MIT', files: [], ...surroundings, ...input }) as Sbom
}

describe('the bill of materials', () => {
  const lockFile = readFileSync(join(import.meta.dir, '../../bun.lock'), 'utf8')
  const files = ['swagger-ui-dist']
  const sbom = sbomOf({ manifest, files, lock: Bun.JSONC.parse(lockFile) as SbomInput['lock'] })
  const purls = sbom.components.map(({ purl }) => purl)

  test('lists every dependency with its version, Bun and PostgreSQL', () => {
    for (const [name, version] of Object.entries(manifest.dependencies))
      expect(purls).toContain(`pkg:npm/${name.replace('@', '%40')}@${version}`)
    expect(purls).toContain('pkg:npm/bun@1.4.5')
    expect(purls).toContain('pkg:generic/postgresql@18.6')
    expect(purls.some((purl) => purl.startsWith('pkg:npm/jose@'))).toBe(true)
  })

  test('has no duplicates and no development-only packages', () => {
    expect(new Set(purls).size).toBe(purls.length)
    // @elysiajs/jwt brings `jose` into the product. It is also a development dependency of the
    // tests.
    const inBoth = [...files, 'jose']
    for (const name of Object.keys(manifest.devDependencies).filter((name) => !inBoth.includes(name)))
      expect(purls.filter((purl) => purl.startsWith(`pkg:npm/${name.replace('@', '%40')}@`))).toEqual([])
  })

  test('lists a package whose files are embedded, without its dependencies', () => {
    expect(purls).toContain(`pkg:npm/swagger-ui-dist@${manifest.devDependencies['swagger-ui-dist']}`)
    expect(purls.filter((purl) => purl.includes('scarf'))).toEqual([])
  })

  test('refers only to components it contains', () => {
    const known = new Set([...purls, `pkg:npm/${manifest.name}@${manifest.version}`])
    const referred = sbom.dependencies.flatMap(({ ref, dependsOn }) => [ref, ...dependsOn])
    expect(referred.filter((ref) => !known.has(ref))).toEqual([])
  })

  test('has the hash of what was installed', () => {
    const lacking = sbom.components.filter(({ purl, hashes }) => !/bun@|postgresql@/.test(purl) && !hashes)
    expect(lacking).toEqual([])
    expect(
      sbom.components.flatMap(({ hashes = [] }) => hashes).every(({ content }) => /^[0-9a-f]{128}$/.test(content)),
    ).toBe(true)
  })

  test('follows nested versions and required peers, and ignores optional peers', () => {
    const { components, dependencies } = sbomOf({
      manifest: { name: 'audittrail', version: '1.0.0', dependencies: { '@a/b': '1.0.0' } },
      lock: {
        packages: {
          '@a/b': [
            '@a/b@1.0.0',
            '',
            { dependencies: { c: '*' }, peerDependencies: { d: '*', e: '*' }, optionalPeers: ['e'] },
          ],
          c: ['c@1.0.0', '', {}],
          '@a/b/c': ['c@2.0.0', '', { dependencies: { d: '*' } }],
          d: ['d@3.0.0', '', { dependencies: { '@a/b': '*' } }],
          e: ['e@1.0.0', '', {}],
        },
      },
    })
    expect(components.map(({ purl }) => purl)).toEqual([
      'pkg:generic/postgresql@18.6',
      'pkg:npm/%40a/b@1.0.0',
      'pkg:npm/bun@1.4.5',
      'pkg:npm/c@2.0.0',
      'pkg:npm/d@3.0.0',
    ])
    expect(dependencies.find(({ ref }) => ref === 'pkg:npm/%40a/b@1.0.0')?.dependsOn).toEqual([
      'pkg:npm/c@2.0.0',
      'pkg:npm/d@3.0.0',
    ])
  })

  test('tells the scope from the name in a package key', () => {
    expect(packagePath('@a/b/@c/d/e')).toEqual(['@a/b', '@c/d', 'e'])
  })
})

test('SHA256SUMS can be read by sha256sum -c', async () => {
  const directory = temporaryDirectory('checksums')
  writeFileSync(join(directory, 'b'), 'abc')
  writeFileSync(join(directory, 'a'), '')
  const text = await checksums(directory, ['b', 'a'])
  expect(text).toBe(
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n' +
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b\n',
  )
  if (process.platform === 'linux') {
    writeFileSync(join(directory, 'SHA256SUMS'), text)
    expect(spawnSync('sha256sum', ['-c', 'SHA256SUMS'], { cwd: directory }).status).toBe(0)
  }
  rmSync(directory, { recursive: true, force: true })
})
