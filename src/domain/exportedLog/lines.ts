/** Longer than any line may be. */
const maxLine = 1_000_000

/** Yields the lines of a file, without their line breaks. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  // Bytes that are no UTF-8 become characters that neither a key has signed nor a record commits
  // to.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = (lines.pop() ?? '').slice(0, maxLine)
    yield* lines
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}
