//! The supervisor: boots a cluster from a layout, keeps it alive, steers it.
//!
//! Here only the command line is taken apart; what it asks for is done elsewhere.

#![forbid(unsafe_code)]

mod cli;
mod client;
mod daemon;
mod output;
mod stem;

use std::process::ExitCode;

use clap::Parser;

use cli::{CheckArgs, Cli, Command};
use client::{check, completions, out};
use cluster::causes;
use cluster::control::Code;

fn main() -> ExitCode {
    // First, and by hand: the stem is the image of all nodes, so nothing may happen before it that
    // they would all inherit.
    if std::env::args_os().skip(1).eq(["stem"]) {
        return stem();
    }
    let cli = match Cli::try_parse_from(cli::in_order(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            let error = cli::echo::bounded_error(error);
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Code::Usage as u8));
        }
    };
    match cli.chosen() {
        Some(Command::Run(args)) if args.check => check::run(&CheckArgs::from(&args)),
        Some(Command::Run(args)) => daemon::run(&args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Client(command)) => client::run(&command),
        Some(Command::Fabric(command)) => client::fabric::run(&command),
        Some(Command::Records(command)) => client::records::run(&command),
        Some(Command::Completions(args)) => print(&completions::script(args.shell)),
        Some(Command::Names(target)) => {
            let socket = target.path(std::env::var_os(client::SOCKET_VARIABLE));
            print(&completions::names(&socket))
        }
        Some(Command::Stem) => stem(),
        None => code(Code::Usage),
    }
}

fn code(code: Code) -> ExitCode {
    ExitCode::from(u8::from(code))
}

fn print(text: &str) -> ExitCode {
    match out::to_stdout(text) {
        Ok(()) => code(Code::Done),
        Err(error) => {
            out::to_stderr(&format!("supervisor: cannot write the output: {error}\n"));
            code(Code::Failed)
        }
    }
}

/// The stem, and every node: a child of the stem comes back from its loop, and takes up its work here,
/// with nothing of the stem's on its stack.
fn stem() -> ExitCode {
    match stem::run() {
        Ok(stem::Outcome::Done) => ExitCode::SUCCESS,
        Ok(stem::Outcome::Born(newborn)) => {
            ExitCode::from(u8::try_from(newborn.live()).unwrap_or(u8::MAX))
        }
        Err(error) => {
            out::to_stderr(&format!(
                "supervisor: cannot be a stem: {error}; it is started by `supervisor --layout FILE`\n"
            ));
            code(Code::Failed)
        }
    }
}
