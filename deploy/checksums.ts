import { join } from 'node:path'

/** Returns the checksums in the format of `sha256sum -c`, sorted by name. */
export async function checksums(directory: string, names: readonly string[]): Promise<string> {
  const lines = [...names].sort().map(async (name) => {
    const hash = new Bun.CryptoHasher('sha256')
    for await (const chunk of Bun.file(join(directory, name)).stream()) hash.update(chunk)
    return `${hash.digest('hex')}  ${name}\n`
  })
  return (await Promise.all(lines)).join('')
}
