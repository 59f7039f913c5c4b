//! Where the client's words go: standard output and standard error, with or without colour.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

use cluster::control::Code;
use cluster::control::reply::{ErrorBody, Plain};

use super::failure::{ClientError, refused_code};
use super::invisible;
use crate::cli::echo::bounded;
use crate::cli::shared::Common;

/// Colours, or none. Every method hands the text back with what switches the colour on and off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paint(pub(crate) bool);

/// What a text says, for its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// On its way, or not quite well.
    Doubtful,
    /// Someone must act.
    Bad,
    /// Beside the point.
    Faint,
    /// A heading.
    Strong,
}

impl Paint {
    /// The text in the colour of its tone.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => "",
            Tone::Good => "32",
            Tone::Doubtful => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        if self.0 && !code.is_empty() && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Text from a node, made harmless for a terminal: control characters become visible, and so do those that
/// show nothing or turn the direction of what follows.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        let steers = character.is_control() && character != '\t';
        if steers || invisible::is_invisible(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
    }
    clean
}

/// Bytes of lines, made harmless; those that are no text as `\xHH`.
pub(crate) fn clean_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for (nth, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if nth > 0 {
            text.push('\n');
        }
        for chunk in line.utf8_chunks() {
            text.push_str(&clean(chunk.valid()));
            for byte in chunk.invalid() {
                text.push_str(&format!("\\x{byte:02x}"));
            }
        }
    }
    text
}

/// Several lines, each made harmless.
pub(crate) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(clean).collect();
    lines.join("\n")
}

/// Where the client's words go.
pub(crate) struct Console<'a> {
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    /// Colours on standard output.
    pub(crate) paint: Paint,
    /// Colours on standard error.
    err_paint: Paint,
    /// Is standard output a terminal?
    pub(crate) terminal: bool,
    /// Print answers as they came.
    pub(crate) json: bool,
    quiet: bool,
}

impl<'a> Console<'a> {
    /// A console on two writers that are no terminals.
    pub(crate) fn new(out: &'a mut dyn Write, err: &'a mut dyn Write, common: &Common) -> Self {
        Self {
            out,
            err,
            paint: Paint(false),
            err_paint: Paint(false),
            terminal: false,
            json: common.json,
            quiet: common.quiet,
        }
    }

    /// The same manners on other writers.
    pub(crate) fn aside<'b>(&self, out: &'b mut dyn Write, err: &'b mut dyn Write) -> Console<'b> {
        Console {
            out,
            err,
            paint: self.paint,
            err_paint: self.err_paint,
            terminal: self.terminal,
            json: self.json,
            quiet: self.quiet,
        }
    }

    /// The process's own standard output and standard error.
    pub(crate) fn standard(
        out: &'a mut io::StdoutLock<'static>,
        err: &'a mut io::StderrLock<'static>,
        common: &Common,
    ) -> Self {
        let wanted = !common.no_color && colours_wanted(&|name| std::env::var_os(name));
        let (out_terminal, err_terminal) = (out.is_terminal(), err.is_terminal());
        let mut console = Self::new(out, err, common);
        console.terminal = out_terminal;
        console.paint = Paint(wanted && out_terminal);
        console.err_paint = Paint(wanted && err_terminal);
        console
    }

    /// Prints text as it is, unless nothing is to be printed.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), ClientError> {
        if !self.quiet {
            self.out.write_all(text.as_bytes())?;
        }
        Ok(())
    }

    /// Prints one line of JSON.
    pub(crate) fn print_json(&mut self, line: &str) -> Result<(), ClientError> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")?;
        Ok(())
    }

    /// Prints bytes as they are, and lets them be seen.
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.out.write_all(bytes)?;
        self.flush()
    }

    /// Is nothing to be printed but failures?
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Lets everything printed so far be seen.
    pub(crate) fn flush(&mut self) -> Result<(), ClientError> {
        self.out.flush()?;
        Ok(())
    }

    /// Prints lines about a failure. That they cannot be written changes nothing any more.
    pub(crate) fn complain(&mut self, text: &str) {
        for line in text.lines() {
            let line = self.err_paint.tone(Tone::Bad, line);
            let _ = writeln!(self.err, "{line}");
        }
    }

    /// Prints what should be known though it hinders nothing.
    pub(crate) fn warn(&mut self, text: &str) {
        if !self.quiet {
            let line = self
                .err_paint
                .tone(Tone::Doubtful, &format!("warning: {text}"));
            let _ = writeln!(self.err, "{line}");
        }
    }

    /// Prints lines that belong to a failure, such as a node's last words.
    pub(crate) fn explain(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes());
    }

    /// The supervisor refused: where JSON is read its own line says so, elsewhere the end of the
    /// command will. Gives the code that the command ends with.
    pub(crate) fn refused(&mut self, line: &str, error: ErrorBody) -> Result<Code, ClientError> {
        if !self.json {
            return Err(ClientError::Refused(error));
        }
        self.print_json(line)?;
        Ok(refused_code(&error))
    }

    /// Says why the command failed: on standard error, or, where JSON is read, as JSON.
    pub(crate) fn fail(&mut self, error: &ClientError) {
        if self.json {
            let reply = Plain::failed(error.code(), error.chain());
            if let Ok(line) = serde_json::to_string(&reply) {
                let _ = self.print_json(&line).and_then(|()| self.flush());
            }
        } else {
            let said = clean_lines(&error.chain());
            let said: Vec<String> = said.lines().map(bounded).collect();
            self.complain(&format!("supervisor: {}", said.join("\n")));
        }
    }
}

/// <https://no-color.org>, and terminals that have none.
fn colours_wanted(variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let forbidden = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbidden && variable("TERM").is_some_and(|value| value != "dumb")
}

/// Writes text to the process's standard output; a reader that has gone is no failure.
pub(crate) fn to_stdout(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes text to the process's standard error, as far as it takes it.
pub(crate) fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_cannot_steer_the_terminal() {
        assert_eq!(
            clean("a\x1b[2Jb\tc\rd\u{9b}é"),
            "a\\u{1b}[2Jb\tc\\rd\\u{9b}é"
        );
        assert_eq!(clean_lines("a\nb\x07\n"), "a\nb\\u{7}");
        assert_eq!(
            clean_bytes(b"a\x1b[2J\tb\xff\xc3\xa9\n\nc\n"),
            "a\\u{1b}[2J\tb\\xffé\n\nc\n"
        );
        assert_eq!(
            clean("evil\u{202e}gpj.\u{2066}x\u{200b}y"),
            "evil\\u{202e}gpj.\\u{2066}x\\u{200b}y"
        );
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        let with = |no_color: Option<&str>, term: Option<&str>| {
            let (no_color, term) = (no_color.map(OsString::from), term.map(OsString::from));
            colours_wanted(&|name| match name {
                "NO_COLOR" => no_color.clone(),
                _ => term.clone(),
            })
        };
        assert!(with(None, Some("xterm")));
        assert!(with(Some(""), Some("xterm")));
        assert!(!with(Some("1"), Some("xterm")));
        assert!(!with(None, Some("dumb")));
        assert!(!with(None, None));
        assert_eq!(Paint(true).tone(Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(Paint(false).tone(Tone::Bad, "x"), "x");
    }
}
