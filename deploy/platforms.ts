export interface Platform {
  /** As in the names of release files. */
  readonly name: string
  readonly system: 'linux' | 'darwin' | 'win32'
  readonly format: 'ELF' | 'Mach-O' | 'PE'
  readonly architecture: 'x64' | 'arm64'
  /** The package of `@node-rs/argon2` with its addon. */
  readonly addonPackage: string
}

/**
 * The platforms of a release. x64 without AVX2 needs no separate build: since Bun 1.4 `linux-x64`
 * and `linux-x64-baseline` are identical.
 */
export const platforms: readonly Platform[] = [
  {
    name: 'linux-x64',
    system: 'linux',
    format: 'ELF',
    architecture: 'x64',
    addonPackage: '@node-rs/argon2-linux-x64-gnu',
  },
  {
    name: 'linux-arm64',
    system: 'linux',
    format: 'ELF',
    architecture: 'arm64',
    addonPackage: '@node-rs/argon2-linux-arm64-gnu',
  },
  {
    name: 'linux-x64-musl',
    system: 'linux',
    format: 'ELF',
    architecture: 'x64',
    addonPackage: '@node-rs/argon2-linux-x64-musl',
  },
  {
    name: 'linux-arm64-musl',
    system: 'linux',
    format: 'ELF',
    architecture: 'arm64',
    addonPackage: '@node-rs/argon2-linux-arm64-musl',
  },
  {
    name: 'darwin-arm64',
    system: 'darwin',
    format: 'Mach-O',
    architecture: 'arm64',
    addonPackage: '@node-rs/argon2-darwin-arm64',
  },
  {
    name: 'darwin-x64',
    system: 'darwin',
    format: 'Mach-O',
    architecture: 'x64',
    addonPackage: '@node-rs/argon2-darwin-x64',
  },
  {
    name: 'windows-x64',
    system: 'win32',
    format: 'PE',
    architecture: 'x64',
    addonPackage: '@node-rs/argon2-win32-x64-msvc',
  },
]

/** Finds a platform by its name, with or without Bun's `bun-` prefix. */
export function findPlatform(target: string): Platform | undefined {
  return platforms.find(({ name }) => name === target.replace(/^bun-/, ''))
}

/** Returns a program's file name on a platform: Windows needs `.exe`. */
export function fileName(stem: string, { system }: Platform): string {
  return system === 'win32' ? `${stem}.exe` : stem
}
