// Files that the build embeds in the binary: their path (type: 'file') or their text (type:
// 'text').
declare module '*.zst' {
  const path: string
  export default path
}
declare module '*.gz' {
  const path: string
  export default path
}
declare module '*.css' {
  const text: string
  export default text
}
declare module '*.txt' {
  const text: string
  export default text
}

declare module '*.svg' {
  const text: string
  export default text
}

/** The native addon that verifies argon2 hashes; package.json has its file for each platform. */
declare module '#argon2' {
  const path: string
  export default path
}
