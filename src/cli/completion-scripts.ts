/** A command as a shell completes it. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly flags: readonly {
    readonly long: string;
    readonly short?: string;
    readonly takesValue: boolean;
    readonly description: string;
  }[];
  /** VMs' ids follow it. */
  readonly takesIds: boolean;
}

/** Ids of all VMs, as a shell asks for them. */
const IDS = "warder ps --all --quiet 2>/dev/null";

/** The command is looked for among the words before; a flag's value is completed as a file's name. */
export function bashScript(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name);
  const cases = commands.map(({ name, flags, takesIds }) => {
    const words = flags.map(({ long }) => long).join(" ");
    return `    ${name}) words="${words}${takesIds ? ` $(${IDS})` : ""}" ;;`;
  });
  const valued = [...new Set(commands.flatMap(({ flags }) => flags.filter((each) => each.takesValue)))];
  const before = [...new Set(valued.flatMap(({ long, short }) => (short === undefined ? [long] : [long, short])))];
  return `# Completion of warder for bash, made by \`warder completion bash\`.
_warder() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= word words
  COMPREPLY=()
  case $previous in ${before.join("|")}) return ;; esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in ${names.join("|")}) command=$word; break ;; esac
  done
  case $command in
${cases.join("\n")}
    *) words="${names.join(" ")} --help --version" ;;
  esac
  COMPREPLY=($(compgen -W "$words --help" -- "$current"))
}
complete -o default -F _warder warder
`;
}

/** Zsh runs bash's by its own bridge. */
export function zshScript(commands: readonly CompletedCommand[]): string {
  return `#compdef warder
autoload -U +X bashcompinit && bashcompinit
${bashScript(commands).replace("bash, made by `warder completion bash`", "zsh, made by `warder completion zsh`")}`;
}

/** Fish shows what each word means. */
export function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap(({ name, summary, flags, takesIds }) => {
    const seen = `complete -c warder -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c warder -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
      ...(takesIds ? [`${seen} -f -a '(${IDS})'`] : []),
      ...flags.map(({ long, short, takesValue, description }) => {
        const shortPart = short === undefined ? "" : ` -s ${short.slice(1)}`;
        return `${seen} -l ${long.slice(2)}${shortPart}${takesValue ? " -r" : ""} -d ${quote(description)}`;
      }),
    ];
  });
  return `# Completion of warder for fish, made by \`warder completion fish\`.\n${lines.join("\n")}\n`;
}

/** Fish knows two escapes inside single quotes. */
function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}
