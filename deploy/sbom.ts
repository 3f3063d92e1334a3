export interface SbomInput {
  readonly manifest: {
    readonly name: string
    readonly version: string
    readonly dependencies: Readonly<Record<string, string>>
  }
  /**
   * Packages whose files are embedded, rather than imported: their dependencies are not included.
   */
  readonly files: readonly string[]
  /** bun.lock: each package's identifier, source, relations and hash. */
  readonly lock: { readonly packages: Readonly<Record<string, readonly unknown[]>> }
  /** Returns the SPDX expression in an installed package's manifest. */
  readonly licenseOf: (name: string) => string | undefined
  readonly bunVersion: string
  /** The version of the PostgreSQL in PGlite. */
  readonly postgresqlVersion: string
  /** ISO 8601; the time of the commit, so that a commit always gives the same file. */
  readonly timestamp: string
}

interface Component {
  readonly type: 'application' | 'library' | 'platform'
  readonly 'bom-ref': string
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly licenses?: readonly { readonly expression: string }[]
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[]
}

/**
 * Returns the contents of the executable as CycloneDX 1.6: all transitive dependencies by bun.lock,
 * the packages whose files are embedded, Bun, and the PostgreSQL in PGlite. Optional peers are not
 * installed.
 */
export function makeSbom(input: SbomInput): object {
  const { manifest, bunVersion, postgresqlVersion, timestamp } = input
  const closure = packageClosure(input)
  const product = component('application', npmPurl(manifest.name, manifest.version), manifest, 'MIT')
  const bun = component('platform', npmPurl('bun', bunVersion), { name: 'bun', version: bunVersion }, bunLicense)
  const postgresql = component(
    'library',
    `pkg:generic/postgresql@${postgresqlVersion}`,
    { name: 'postgresql', version: postgresqlVersion },
    'PostgreSQL',
  )
  const direct = [...Object.keys(manifest.dependencies), ...input.files].flatMap(
    (name) => closure.get(name)?.component['bom-ref'] ?? [],
  )
  const edges = [...closure].map(([key, { component, dependsOn }]) => ({
    ref: component['bom-ref'],
    dependsOn: [...dependsOn, ...(key === '@electric-sql/pglite' ? [postgresql['bom-ref']] : [])].sort(),
  }))
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { timestamp, component: product },
    components: [...[...closure.values()].map(({ component }) => component), bun, postgresql].sort((a, b) =>
      a.purl < b.purl ? -1 : 1,
    ),
    dependencies: [{ ref: product['bom-ref'], dependsOn: [...direct, bun['bom-ref']].sort() }, ...edges],
  }
}

/** Bun is MIT and links JavaScriptCore. */
const bunLicense = 'MIT AND LGPL-2.0-or-later'

interface Found {
  readonly component: Component
  readonly dependsOn: readonly string[]
}

/** Keyed as in the lock file; `parent/child` is a version that only that parent uses. */
function packageClosure({ manifest, files, lock, licenseOf }: SbomInput): Map<string, Found> {
  const found = new Map<string, Found>()
  const visit = (key: string): string => {
    const entry = lock.packages[key]
    if (!entry) throw new Error(`bun.lock does not contain the package ${key}.`)
    const [name, version] = splitAtVersion(String(entry[0]))
    const purl = npmPurl(name, version)
    if (found.has(key)) return purl
    const { dependencies = {}, peerDependencies = {}, optionalPeers = [] } = entry.find(isRelations) ?? {}
    const integrity = entry.find((part): part is string => typeof part === 'string' && part.startsWith('sha512-'))
    const self = component('library', purl, { name, version }, licenseOf(key), integrity)
    const dependsOn: string[] = []
    found.set(key, { component: self, dependsOn })
    if (files.includes(key)) return purl
    const peers = Object.keys(peerDependencies).filter((peer) => !optionalPeers.includes(peer))
    for (const next of [...Object.keys(dependencies), ...peers]) dependsOn.push(visit(resolve(key, next)))
    return purl
  }
  const resolve = (from: string, name: string): string => {
    const parents = packagePath(from)
    for (let depth = parents.length; depth > 0; depth--) {
      const nested = `${parents.slice(0, depth).join('/')}/${name}`
      if (nested in lock.packages) return nested
    }
    return name
  }
  for (const name of [...Object.keys(manifest.dependencies), ...files]) visit(name)
  return found
}

/** Splits `parent/@scope/child` into packages, each in the node_modules of the previous one. */
export function packagePath(key: string): string[] {
  return key.match(/(?:@[^/]+\/)?[^/]+/g) ?? []
}

interface Relations {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalPeers?: readonly string[]
}

function isRelations(part: unknown): part is Relations {
  return typeof part === 'object' && part !== null
}

function splitAtVersion(identifier: string): [string, string] {
  const at = identifier.lastIndexOf('@')
  return [identifier.slice(0, at), identifier.slice(at + 1)]
}

function npmPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

function component(
  type: Component['type'],
  purl: string,
  { name, version }: { readonly name: string; readonly version: string },
  license: string | undefined,
  integrity?: string,
): Component {
  return {
    type,
    'bom-ref': purl,
    name,
    version,
    purl,
    ...(license ? { licenses: [{ expression: license }] } : {}),
    ...(integrity ? { hashes: [{ alg: 'SHA-512', content: hex(integrity) }] } : {}),
  }
}

function hex(integrity: string): string {
  return Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex')
}
