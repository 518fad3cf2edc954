import { Argument, type Command } from 'commander';
import { exitCodes } from './exit-codes.js';
import type { CommandContext } from './output.js';

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

/** A command as completion needs it; the same table that parses and helps. */
interface Entry {
  /** Words behind `mdt`, as in `dataset check`. */
  path: string;
  description: string;
  options: { flags: string[]; description: string; values: readonly string[]; takesValue: boolean }[];
  /** Subcommands, and what its arguments may be. */
  words: { word: string; description: string }[];
}

export function addCompletion(program: Command, { exit, streams }: CommandContext): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'which shell').choices(shells))
    .addHelpText(
      'after',
      `
Examples:
  $ mdt completion bash > ~/.local/share/bash-completion/completions/mdt
  $ mdt completion zsh > ~/.zfunc/_mdt        # a folder of your fpath
  $ mdt completion fish > ~/.config/fish/completions/mdt.fish`,
    )
    .action((shell: Shell) => {
      streams.stdout.write(scripts[shell](entriesOf(program)));
      exit(exitCodes.ok);
    });
}

function entriesOf(command: Command, path: readonly string[] = []): Entry[] {
  const help = command.createHelp();
  const visible = help.visibleCommands(command);
  const own: Entry = {
    path: path.join(' '),
    description: command.description(),
    options: help.visibleOptions(command).map(({ short, long, description, argChoices = [], required, optional }) => ({
      flags: [short, long].flatMap((flag) => flag ?? []),
      description,
      values: argChoices,
      takesValue: required || optional,
    })),
    words: [
      ...visible.map((sub) => ({ word: sub.name(), description: sub.description() })),
      ...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices.map((word) => ({ word, description: '' }))),
    ],
  };
  const below = visible.filter((sub) => sub.name() !== 'help').flatMap((sub) => entriesOf(sub, [...path, sub.name()]));
  return [own, ...below];
}

/** A text within single quotes, for any POSIX shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const flagsOf = ({ options }: Entry): string[] => options.flatMap(({ flags }) => flags);

/** The words before the cursor that are commands, as one text: what the scripts look their entry up by. */
const scripts: Record<Shell, (entries: readonly Entry[]) => string> = {
  bash: (entries) => `# Completion of mdt for bash
_mdt() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
      ${entries.flatMap(({ path }) => (path === '' ? [] : [quoted(path)])).join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path $previous" in
${entries
  .flatMap((entry) =>
    entry.options
      .filter(({ values }) => values.length > 0)
      .map(({ flags, values }) => {
        const cases = flags.map((flag) => quoted(`${entry.path} ${flag}`)).join('|');
        return `    ${cases}) COMPREPLY=($(compgen -W ${quoted(values.join(' '))} -- "$current")); return ;;`;
      }),
  )
  .join('\n')}
  esac
  case "$path" in
${entries
  .map((entry) => {
    const words = [...entry.words.map(({ word }) => word), ...flagsOf(entry)].join(' ');
    return `    ${quoted(entry.path)}) COMPREPLY=($(compgen -W ${quoted(words)} -- "$current")) ;;`;
  })
  .join('\n')}
  esac
  if [[ "$current" != -* ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _mdt mdt
`,
  zsh: (entries) => `#compdef mdt
# Completion of mdt for zsh
_mdt() {
  local chain="" word
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${chain:+$chain }$word" in
      (${entries.flatMap(({ path }) => (path === '' ? [] : [quoted(path)])).join('|')}) chain="\${chain:+$chain }$word" ;;
    esac
  done
  local -a commands options
  case "$chain" in
${entries
  .map((entry) => {
    const list = (items: { word: string; description: string }[]) =>
      items.map(({ word, description }) => quoted(`${word}:${description.replaceAll(':', '\\:')}`)).join(' ');
    const options = entry.options.flatMap(({ flags, description }) => flags.map((word) => ({ word, description })));
    return `    (${quoted(entry.path)}) commands=(${list(entry.words)}); options=(${list(options)}) ;;`;
  })
  .join('\n')}
  esac
  _describe command commands
  _describe option options
  _files
}
if [[ "$funcstack[1]" == _mdt ]]; then _mdt "$@"; else compdef _mdt mdt; fi
`,
  fish: (entries) => `# Completion of mdt for fish
function __mdt_path
  set -l path
  for word in (commandline -opc)[2..]
    set -l next (string join -- ' ' $path $word)
    contains -- $next ${entries.flatMap(({ path }) => (path === '' ? [] : [quoted(path)])).join(' ')}; and set path $path $word
  end
  echo "$path"
end
${entries
  .flatMap((entry) => {
    const here = `complete -c mdt -n ${quoted(`test (__mdt_path) = ${quoted(entry.path)}`)}`;
    const words = entry.words.map(({ word, description }) => `${here} -a ${quoted(word)} -d ${quoted(description)}`);
    const options = entry.options.map(({ flags, description, values, takesValue }) => {
      const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
      const choices = values.length > 0 ? ` -x -a ${quoted(values.join(' '))}` : takesValue ? ' -r' : '';
      return `${here} ${names}${choices} -d ${quoted(description)}`;
    });
    return [...words, ...options];
  })
  .join('\n')}
`,
};
