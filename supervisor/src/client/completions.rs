//! Scripts that teach a shell to complete commands, options, and the names of nodes.
//!
//! Commands and options are generated from the command line's definition. Names are asked from the
//! running supervisor by `supervisor __names`: quickly, and without a word if nobody answers, for a
//! shell waits for it in the middle of a line.

use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use cluster::control::SCHEMA;
use cluster::control::reply::NamesReply;
use cluster::control::request::{Envelope, Request};

use super::answer::{self, Answer};
use super::connection::Connection;
use super::failure::ClientError;
use crate::cli::values::milliseconds;
use crate::cli::{Cli, CompletionShell};

/// A person who has pressed the tabulator waits no longer.
const NAMES_LIMIT: Duration = Duration::from_millis(200);
/// The sub-commands that take names of nodes.
const TAKE_NAMES: [&str; 11] = [
    "status", "start", "stop", "restart", "destroy", "logs", "diag", "wait", "signal", "peers",
    "stats",
];

const BASH_NAMES: &str = include_str!("completions/names.bash");
const ZSH_NAMES: &str = include_str!("completions/names.zsh");

/// The script for a shell.
pub(crate) fn script(shell: CompletionShell) -> String {
    match shell {
        CompletionShell::Bash => {
            let names = BASH_NAMES.replace("@COMMANDS@", &TAKE_NAMES.join("|"));
            format!("{}\n{names}", generated(Shell::Bash))
        }
        CompletionShell::Zsh => zsh(),
        CompletionShell::Fish => format!(
            "{}complete -c supervisor -n \"__fish_seen_subcommand_from {}\" -f -a \
             \"(supervisor __names 2>/dev/null)\"\n",
            generated(Shell::Fish),
            TAKE_NAMES.join(" ")
        ),
        CompletionShell::PowerShell => generated(Shell::PowerShell),
    }
}

fn generated(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut offered(), "supervisor", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command line without what is not for people: the scripts would offer that too.
fn offered() -> clap::Command {
    let all = Cli::command();
    clap::Command::new("supervisor")
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .args(all.get_arguments())
        .subcommands(all.get_subcommands().filter(|sub| !sub.is_hide_set()))
}

/// Selectors stand in the generated script as words of which nothing is known.
fn zsh() -> String {
    let mut script = String::new();
    for line in generated(Shell::Zsh).lines() {
        match line.split_once("::select -- ") {
            Some(_) => script.push_str(&line.replace(":_default'", ":_supervisor_names'")),
            None => script.push_str(line),
        }
        script.push('\n');
        if line.starts_with("#compdef") {
            script.push_str(ZSH_NAMES);
        }
    }
    script
}

/// The names of all nodes, one a line; nothing if they cannot be had at once.
pub(crate) fn names(socket: &Path) -> String {
    let names = ask(socket).unwrap_or_default();
    names.iter().map(|name| format!("{name}\n")).collect()
}

fn ask(socket: &Path) -> Result<Vec<String>, ClientError> {
    let mut connection = Connection::open(socket, NAMES_LIMIT)?;
    connection.send(&Envelope {
        schema: SCHEMA,
        timeout_ms: milliseconds(NAMES_LIMIT),
        request: Request::Names {},
    })?;
    match answer::receive::<NamesReply>(&mut connection)? {
        (_, Answer::Full(reply)) => Ok(reply.names),
        (_, Answer::Refused(error)) => Err(ClientError::Refused(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn scripts_ask_for_names_where_a_selector_stands() {
        assert!(script(CompletionShell::Bash).contains("status|start|stop|"));
        let zsh = script(CompletionShell::Zsh);
        let asked = zsh.matches(":_supervisor_names'").count();
        assert_eq!(asked, TAKE_NAMES.len(), "{zsh}");
        assert!(script(CompletionShell::Fish).contains("seen_subcommand_from status start"));
        assert!(script(CompletionShell::PowerShell).contains("Register-ArgumentCompleter"));
    }

    #[test]
    fn every_command_that_takes_selectors_completes_them_and_no_other() {
        let command = Cli::command();
        let taking: Vec<&str> = command
            .get_subcommands()
            .filter(|sub| sub.get_positionals().any(|arg| arg.get_id() == "select"))
            .map(clap::Command::get_name)
            .collect();
        assert_eq!(taking, TAKE_NAMES);
    }

    #[test]
    fn what_is_not_for_people_is_not_offered() {
        for shell in CompletionShell::value_variants() {
            let script = script(*shell);
            let mut words = script.split(|c: char| !c.is_ascii_alphanumeric());
            assert!(!words.any(|word| word == "stem"), "{shell:?}");
        }
    }

    #[test]
    fn nobody_there_is_no_names_and_no_noise() {
        assert_eq!(names(Path::new("/nowhere/control.sock")), "");
    }
}
