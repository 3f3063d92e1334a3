import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseArguments } from '../../src/cli/arguments.ts'
import { commands } from '../../src/cli/commandTable.ts'
import { AppError } from '../../src/error.ts'

const [serve] = commands
if (!serve) throw new Error('no commands')

const parse = (...argv: readonly string[]) => parseArguments(argv, commands, serve)

/** Returns the parts of a parsed command line that a test compares. */
function summarize(...argv: readonly string[]) {
  const { action, command, input, envFile } = parse(...argv)
  return { action, command: command?.name, arguments: input.arguments, flags: Object.fromEntries(input.flags), envFile }
}

function problemOf(...argv: readonly string[]): string {
  try {
    parse(...argv)
  } catch (error) {
    if (error instanceof AppError && error.code === 'usage') return error.message
    throw error
  }
  return 'none'
}

const nothing = { action: 'run', command: undefined, arguments: [], flags: {}, envFile: undefined } as const

describe('arguments', () => {
  test.each([
    [[], {}],
    [['--env-file', 'a.env'], { envFile: 'a.env' }],
    [['--env-file=a.env', 'migrate'], { envFile: 'a.env', command: 'migrate' }],
    [['user', 'list'], { command: 'user list' }],
    [['user', 'list', '--search', 'ada', '--json'], { command: 'user list', flags: { search: ['ada'], json: [] } }],
    [['user', 'list', '--search='], { command: 'user list', flags: { search: [''] } }],
    [['user', 'list', '--search', ''], { command: 'user list', flags: { search: [''] } }],
    [['user', 'list', '--search=--json'], { command: 'user list', flags: { search: ['--json'] } }],
    [['user', 'list', '--search=a=b'], { command: 'user list', flags: { search: ['a=b'] } }],
    [['user', 'list', '--env-file', 'a.env'], { command: 'user list', envFile: 'a.env' }],
    [['user', 'show', 'ada'], { command: 'user show', arguments: ['ada'] }],
    [['user', 'show', '--json', 'ada'], { command: 'user show', arguments: ['ada'], flags: { json: [] } }],
    [['user', 'show', '--', '-ada'], { command: 'user show', arguments: ['-ada'] }],
    [['user', 'show', 'help'], { command: 'user show', arguments: ['help'] }],
    [
      ['user', 'add', 'a', '--role', 'x', '--role=y'],
      { command: 'user add', arguments: ['a'], flags: { role: ['x', 'y'] } },
    ],
    [['import', '-'], { command: 'import', arguments: ['-'] }],
    [['import', 'x', '--hash-config', '-'], { command: 'import', arguments: ['x'], flags: { 'hash-config': ['-'] } }],
  ])('parses %j', (argv, expected) => {
    expect(summarize(...argv)).toEqual({ ...nothing, ...expected } as ReturnType<typeof summarize>)
  })

  test.each([
    [['--help'], 'help', undefined],
    [['-h'], 'help', undefined],
    [['help'], 'help', undefined],
    [['help', 'user', 'add'], 'help', 'user add'],
    [['user', 'add', '--help'], 'help', 'user add'],
    [['user', '--help'], 'help', undefined],
    [['fly', '--help'], 'help', undefined],
    [['--version'], 'version', undefined],
    [['-v'], 'version', undefined],
    [['-V'], 'version', undefined],
    [['migrate', '-V'], 'version', 'migrate'],
    [['help', 'settings'], 'help', undefined],
    [['-Vh'], 'help', undefined],
  ] as const)('%j: the action is %s', (argv, action, command) => {
    expect(summarize(...argv)).toMatchObject({ action, command })
  })

  test.each([
    [['fly'], 'Unknown command "fly". Run "audittrail --help".'],
    [['fly', '--json'], 'Unknown command "fly". Run "audittrail --help".'],
    [['help', 'fly'], 'Unknown command "fly". Run "audittrail --help".'],
    [['help', 'setings'], 'Unknown command "setings". Did you mean "settings"? Run "audittrail --help".'],
    [['help', 'migrat'], 'Unknown command "migrat". Did you mean "migrate"? Run "audittrail --help".'],
    [
      ['help', 'key', 'rotat'],
      'Unknown command "key rotat": use "key list", "key rotate", "key reset". Did you mean "key rotate"? Run "audittrail key --help".',
    ],
    [['migrat'], 'Unknown command "migrat". Did you mean "migrate"? Run "audittrail --help".'],
    [['users', 'list'], 'Unknown command "users". Did you mean "user"? Run "audittrail --help".'],
    [['user-add', 'ada'], 'Unknown command "user-add". Did you mean "user add"? Run "audittrail --help".'],
    [
      ['key', 'rotat'],
      'Unknown command "key rotat": use "key list", "key rotate", "key reset". Did you mean "key rotate"? Run "audittrail key --help".',
    ],
    [
      ['user', 'list', '--serch', 'ada'],
      'Unknown flag --serch for "user list". Did you mean "--search"? Run "audittrail user list --help".',
    ],
    [
      ['--envfile', 'x'],
      'Unknown flag --envfile for "serve". Did you mean "--env-file"? Run "audittrail serve --help".',
    ],
    [[''], 'Unknown command "". Run "audittrail --help".'],
    [['block'], 'Incomplete command "block": use "block list", "block lift". Run "audittrail block --help".'],
    [['block', 'fly'], 'Unknown command "block fly": use "block list", "block lift". Run "audittrail block --help".'],
    [['--fly'], 'Unknown flag --fly for "serve". Run "audittrail serve --help".'],
    [['--json', 'user', 'list'], 'Unknown flag --json for "serve". Run "audittrail serve --help".'],
    [['migrate', '--fly=x'], 'Unknown flag --fly for "migrate". Run "audittrail migrate --help".'],
    [['migrate', '-x'], 'Unknown flag -x for "migrate". Run "audittrail migrate --help".'],
    [['migrate', '--constructor'], 'Unknown flag --constructor for "migrate". Run "audittrail migrate --help".'],
    [['migrate', '--a\nb'], 'Unknown flag "--a\\nb" for "migrate". Run "audittrail migrate --help".'],
    [['migrate', 'now'], 'Unexpected argument "now" for "migrate". Run "audittrail migrate --help".'],
    [['user', 'add'], 'Missing argument NAME for "user add". Run "audittrail user add --help".'],
    [['user', 'add', 'a', 'b'], 'Unexpected argument "b" for "user add". Run "audittrail user add --help".'],
    [
      ['user', 'add', 'a', '--role'],
      'Missing value ROLE after --role for "user add". Run "audittrail user add --help".',
    ],
    [['--env-file'], 'Missing value FILE after --env-file for "serve". Run "audittrail serve --help".'],
    [['--env-file='], 'Missing value FILE after --env-file for "serve". Run "audittrail serve --help".'],
    [['user', 'list', '--json=x'], 'Unexpected value after --json for "user list". Run "audittrail user list --help".'],
    [['--help=x'], 'Unexpected value after --help for "serve". Run "audittrail serve --help".'],
    [
      ['user', 'list', '--search', 'a', '--search', 'b'],
      'Repeated flag --search for "user list". Run "audittrail user list --help".',
    ],
    [['user', 'list', '--json', '--json'], 'Repeated flag --json for "user list". Run "audittrail user list --help".'],
    [['--env-file', 'a', '--env-file', 'b'], 'Repeated flag --env-file for "serve". Run "audittrail serve --help".'],
    [
      ['user', 'list', '--search', '--json'],
      'Missing value TEXT after --search (write --search=VALUE if the value starts with "-") for "user list". Run "audittrail user list --help".',
    ],
  ])('rejects %j', (argv, problem) => {
    expect(problemOf(...argv)).toBe(problem)
  })
})

const words = commands.flatMap(({ name }) => name.split(' '))
const flagNames = [...new Set(commands.flatMap(({ flags }) => Object.keys(flags))), 'help', 'version', 'env-file']
const anyWord = fc.oneof(
  fc.constantFrom(...words, 'help', '--', '-', '-h', '-V', '-hV', '--__proto__', '--constructor=x', '---', '--=', ''),
  fc.constantFrom(...flagNames).map((flag) => `--${flag}`),
  fc.tuple(fc.constantFrom(...flagNames), fc.string()).map(([flag, value]) => `--${flag}=${value}`),
  fc.string({ unit: 'binary' }),
)

/** Half of them begin with the name of a command, which random words seldom do. */
const anyArguments = fc
  .tuple(fc.option(fc.constantFrom(...commands), { freq: 2 }), fc.array(anyWord, { maxLength: 6 }))
  .map(([command, others]) => [...(command?.name.split(' ') ?? []), ...others])

describe('any arguments', () => {
  test('parse or throw a usage error on one line', () => {
    fc.assert(
      fc.property(anyArguments, (argv) => {
        expect(problemOf(...argv)).not.toMatch(/[\n\r\0]/)
      }),
      { numRuns: 5000 },
    )
  })

  test('that parse give the command exactly its arguments and only its own flags', () => {
    fc.assert(
      fc.property(anyArguments, (argv) => {
        if (problemOf(...argv) !== 'none') return
        const { action, command = serve, input } = parse(...argv)
        if (action !== 'run') return
        const required = command.arguments.filter((name) => !name.startsWith('['))
        expect(input.arguments.length).toBeGreaterThanOrEqual(required.length)
        expect(input.arguments.length).toBeLessThanOrEqual(command.arguments.length)
        for (const [name, values] of input.flags) {
          expect(Object.keys(command.flags)).toContain(name)
          expect(values.length > 0).toBe(command.flags[name]?.value !== undefined)
        }
      }),
      { numRuns: 5000 },
    )
  })

  test('in the form --name=value keep the value byte for byte', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect(parse('user', 'list', `--search=${value}`).input.flags.get('search')).toEqual([value])
      }),
    )
  })
})
