import { describe, expect, test } from 'bun:test'
import { parseEnvFile } from '../../src/config/envFile.ts'

const valuesOf = (text: string) =>
  Object.fromEntries(parseEnvFile(text).entries.map(({ name, value }) => [name, value]))
const problemsOf = (text: string) => parseEnvFile(text).entries.flatMap(({ problem }) => problem ?? [])

describe('an env file', () => {
  test.each([
    ['A=correct-horse#battery', 'correct-horse#battery'],
    ['A=#1 first', '#1 first'],
    ['A=value # a comment', 'value'],
    ['A=value\t#comment', 'value'],
    ['A= # only a comment', ''],
    ['A=', ''],
    ['A=two words  ', 'two words'],
    ['  A = spaced', 'spaced'],
    ['export A=exported', 'exported'],
    ['A=a=b', 'a=b'],
    ['A={"a":1}', '{"a":1}'],
    ["A='a # b $c `d` \\n'", 'a # b $c `d` \\n'],
    ['A="a # b"', 'a # b'],
    ['A="it\'s \\"quoted\\" for \\$5 \\\\"', 'it\'s "quoted" for $5 \\'],
    ['A="costs $5"', 'costs $5'],
    ["A='quoted' # a comment", 'quoted'],
    ['A="two\nlines"', 'two\nlines'],
    ['\ufeffA=after a byte order mark', 'after a byte order mark'],
    ['# a comment\r\n\r\n; another\r\nA=crlf\r\n', 'crlf'],
    ['A=first\nA=last', 'last'],
  ])('reads %j', (text, value) => {
    expect(parseEnvFile(text)).toMatchObject({ unreadableLines: [] })
    expect(problemsOf(text)).toEqual([])
    expect(valuesOf(text)).toEqual({ A: value })
  })

  test.each([
    ['A=pa$word', 'has a dollar sign'],
    ['A=pa`word', 'has a backtick'],
    ['A=`word`', 'has a backtick'],
    ['A=pa\\word', 'has a backslash'],
    ['A=continued\\\nB=1', 'has a backslash'],
    ["A=don't", 'has an unbalanced quote'],
    ['A=5"', 'has an unbalanced quote'],
    ['A=\u00a0pasted', 'has white space'],
    ["A='open", 'has an opening quote without a closing one'],
    ['A="open', 'has an opening quote without a closing one'],
    ['A="a"b', 'has something after its closing quote'],
    ["A='a'#b", 'has something after its closing quote'],
    ["A='it'\\''s'", 'has something after its closing quote'],
    ["A='a\\'", 'has a backslash before its closing single quote'],
    ['A="a\\nb"', 'has a backslash in double quotes'],
    ['A="a\\\\\\x"', 'has a backslash in double quotes'],
  ])('reports %j, which other readers of the file read differently', (text, problem) => {
    expect(problemsOf(text)).toEqual([expect.stringContaining(problem)])
  })

  test('goes on after an open quote, so that every problem is reported at once', () => {
    expect(parseEnvFile('A="open\nB=2\nC=pa$word').entries.map(({ name, line }) => [name, line])).toEqual([
      ['A', 1],
      ['B', 2],
      ['C', 3],
    ])
  })

  test('reports the number of each line that is not NAME=value', () => {
    expect(parseEnvFile('A=1\nDATABASE_URL postgresql://h/x\n\nB="2\n3"\nSECRET_KEY: yaml\n')).toMatchObject({
      unreadableLines: [2, 6],
    })
  })

  test('notes a comment after a value', () => {
    const { entries } = parseEnvFile('A=1 # one\nB="2" # two\nC=3#\nD=\'#\'')
    expect(entries.map(({ name, hasComment }) => [name, hasComment])).toEqual([
      ['A', true],
      ['B', true],
      ['C', false],
      ['D', false],
    ])
  })
})
