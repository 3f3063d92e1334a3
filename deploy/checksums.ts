import { join } from 'node:path'

/** One line per file, sorted by name, as `sha256sum -c` reads it. */
export async function checksums(directory: string, names: readonly string[]): Promise<string> {
  const lines = [...names].sort().map(async (name) => {
    const hash = new Bun.CryptoHasher('sha256')
    for await (const chunk of Bun.file(join(directory, name)).stream()) hash.update(chunk)
    return `${hash.digest('hex')}  ${name}\n`
  })
  return (await Promise.all(lines)).join('')
}
