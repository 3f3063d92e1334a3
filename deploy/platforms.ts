export interface Platform {
  /** As in the names of released files. */
  readonly name: string
  readonly system: 'linux' | 'darwin' | 'win32'
  readonly format: 'ELF' | 'Mach-O' | 'PE'
  readonly architecture: 'x64' | 'arm64'
}

/**
 * What a release is made for. There is no separate build for x64 without AVX2: since Bun 1.4 `linux-x64` and
 * `linux-x64-baseline` are the same bytes.
 */
export const platforms: readonly Platform[] = [
  { name: 'linux-x64', system: 'linux', format: 'ELF', architecture: 'x64' },
  { name: 'linux-arm64', system: 'linux', format: 'ELF', architecture: 'arm64' },
  { name: 'linux-x64-musl', system: 'linux', format: 'ELF', architecture: 'x64' },
  { name: 'linux-arm64-musl', system: 'linux', format: 'ELF', architecture: 'arm64' },
  { name: 'darwin-arm64', system: 'darwin', format: 'Mach-O', architecture: 'arm64' },
  { name: 'darwin-x64', system: 'darwin', format: 'Mach-O', architecture: 'x64' },
  { name: 'windows-x64', system: 'win32', format: 'PE', architecture: 'x64' },
]

/** By its name, with or without the `bun-` that Bun writes in front of it. */
export function findPlatform(target: string): Platform | undefined {
  return platforms.find(({ name }) => name === target.replace(/^bun-/, ''))
}

/** A program's file name there: Windows wants its ending. */
export function fileName(stem: string, { system }: Platform): string {
  return system === 'win32' ? `${stem}.exe` : stem
}
