//! The commands for the log files of the run directory's loggers: `verify` and `show` read them as they
//! lie there, `rotate` asks the supervisor.
//!
//! Owns: the files it reads, while it reads them. Never writes, locks or renames any: a logger goes on
//! meanwhile as if nobody looked.

mod chain;
mod files;
mod follow;
mod line;
mod merge;
pub(crate) mod replies;
mod rotate;
mod show;
mod verify;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use cluster::control::Code;
use cluster::control::reply::ErrorBody;
use cluster::logging::LogPath;
use cluster::logging::files::LOGS_DIRECTORY;

use super::failure::ClientError;
use super::out::Console;
use super::{SOCKET_VARIABLE, finish};
use crate::cli::records::RecordsCommand;
use crate::cli::shared::Common;

/// Runs one of these commands on the process's own standard output and standard error.
pub(crate) fn run(command: &RecordsCommand) -> ExitCode {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let mut console = Console::standard(&mut out, &mut err, command.common());
    let done = match command {
        RecordsCommand::Verify(args) => verify::verify(args, &mut console),
        RecordsCommand::Show(args) => show::show(args, &mut console),
        RecordsCommand::Rotate(args) => rotate::rotate(args, &mut console),
    };
    ExitCode::from(u8::from(finish(done, &mut console)))
}

/// The control socket.
fn socket(common: &Common) -> PathBuf {
    common.target.path(std::env::var_os(SOCKET_VARIABLE))
}

/// The directory of the loggers' directories.
fn logs(common: &Common) -> PathBuf {
    let logs = socket(common).with_file_name(LOGS_DIRECTORY);
    std::path::absolute(&logs).unwrap_or(logs)
}

/// The path of a log that somebody names, by it or by its stream.
fn path_of(word: &str) -> Result<String, ClientError> {
    match LogPath::meant(word) {
        Ok(path) => Ok(path.as_str().to_owned()),
        Err(error) => Err(refused(Code::Usage, error.to_string())),
    }
}

fn refused(code: Code, message: String) -> ClientError {
    ClientError::Refused(ErrorBody {
        code,
        message,
        node: None,
    })
}
