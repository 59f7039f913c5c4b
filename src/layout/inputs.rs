//! What a node follows: files that grow, named pipes, sockets. Each line or record of them goes into a log
//! stream.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::entries::Entry;
use super::raw::{RawInput, RawInputForm};
use super::spec::Role;
use crate::logging::files::naming::{Form as Name, Naming};
use crate::logging::streams::OwnStream;
use crate::logging::{LogPath, StreamId};
use crate::pool::{choose, fnv1a32};

/// What makes a pattern of a file's name.
const WILD: [char; 2] = ['*', '?'];

/// The pattern of a directory of logs. It leaves out what rotation has named.
const ALL_LOGS: &[u8] = b"*.log";

/// The inputs of a node's entry, and which of them are this node's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// All of the entry's.
    pub all: Vec<Input>,
    /// How many nodes the entry has.
    pub shares: u32,
    /// Which of them this is, from 0.
    pub share: u32,
}

/// One input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it comes from.
    pub from: Origin,
    /// What its lines are.
    pub form: Form,
    /// The stream that its records go to; `None`: as its path says.
    pub stream: Option<StreamId>,
    /// The path of that stream's log; `None`: as the header of a file of Zeek's says, or else its name.
    pub path: Option<LogPath>,
}

/// Where an input comes from. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Files, which are followed across rotation. The name may be a pattern, of `*` and `?`.
    Files(PathBuf),
    /// A named pipe. What a node has read of it and not passed on dies with the node.
    Fifo(PathBuf),
    /// A Unix socket that the node connects to, again and again. The same holds.
    Socket(PathBuf),
}

/// What an input's lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Any text: a record has the columns `ts`, when it was read, `source`, the file, and `line`.
    Lines,
    /// Zeek's tab-separated values, whose header names the columns.
    Zeek,
    /// An object a line, whose members make the columns.
    Json,
}

impl Inputs {
    /// Is this file this node's? Each is one node's, and stays so as long as the entry has as many nodes.
    ///
    /// Files of one directory are one node's if their names, up to the first dot, differ in nothing but
    /// what is no letter: who renames `conn.log` to `conn-26-01-31.log` does not give it to a node that
    /// has not seen it before.
    #[must_use]
    pub fn is_own(&self, path: &Path) -> bool {
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
        let letters = stem.iter().filter(|byte| byte.is_ascii_alphabetic());
        let mut dealt = folder.as_os_str().as_encoded_bytes().to_vec();
        dealt.push(b'/');
        dealt.extend(letters);
        choose(fnv1a32(&dealt), 0..self.shares) == Some(self.share)
    }

    /// The first input that follows a file of this path.
    #[must_use]
    pub fn of_file(&self, path: &Path) -> Option<&Input> {
        self.all.iter().find(|input| input.from.takes(path))
    }
}

impl Origin {
    /// Its path, or the pattern of its paths.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Files(path) | Self::Fifo(path) | Self::Socket(path) => path,
        }
    }

    /// Is a file of this path among them? `*.log` leaves out the names that Zeek gives to rotated files:
    /// they were followed under another one.
    #[must_use]
    pub fn takes(&self, path: &Path) -> bool {
        let Self::Files(wanted) = self else {
            return false;
        };
        let (Some(pattern), Some(name)) = (wanted.file_name(), path.file_name()) else {
            return false;
        };
        let (pattern, bytes) = (pattern.as_encoded_bytes(), name.as_encoded_bytes());
        wanted.parent() == path.parent()
            && fits(pattern, bytes)
            && !(pattern == ALL_LOGS && name.to_str().is_some_and(is_rotated))
    }
}

/// Is it a name that Zeek gives to a rotated file?
fn is_rotated(name: &str) -> bool {
    [Name::Dotted, Name::Dashed, Name::Archiver]
        .into_iter()
        .any(|form| {
            let naming = Naming {
                form,
                ..Naming::default()
            };
            naming.parse(name).is_some()
        })
}

/// Does a file's name fit a pattern? `*` is any text, `?` any one byte; neither a dot in front.
#[must_use]
pub fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let is_hidden = name.first() == Some(&b'.') && pattern.first() != Some(&b'.');
    !is_hidden && fits_rest(pattern, name)
}

fn fits_rest(pattern: &[u8], name: &[u8]) -> bool {
    // The last star, and how much of the name it takes.
    let (mut pattern, mut name) = (pattern, name);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                star = Some((rest, name));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((byte, after))) if wanted == byte || *wanted == b'?' => {
                (pattern, name) = (rest, after);
            }
            (None, None) => return true,
            (Some(_) | None, _) => {
                let Some((behind, [_, after @ ..])) = star else {
                    return false;
                };
                star = Some((behind, after));
                (pattern, name) = (behind, after);
            }
        }
    }
}

/// The inputs of an entry's member, templates filled in by `fill`. What is wrong is said for the first.
pub(super) fn read(
    entry: &Entry<'_>,
    index0: u32,
    mut fill: impl FnMut(&str, &mut Context<'_>) -> PathBuf,
    ctx: &mut Context<'_>,
) -> Option<Box<Inputs>> {
    if entry.raw.inputs.is_empty() {
        return None;
    }
    let mut complaints = Vec::new();
    if !(entry.is_builtin() && matches!(entry.role, Role::Worker | Role::Proxy)) {
        let hint = "give it node_type: Worker and no command";
        complaints.push(("only workers and proxies follow inputs".to_owned(), hint));
    }
    let mut all = Vec::new();
    for (index, raw) in entry.raw.inputs.iter().enumerate() {
        match input(raw, |text| fill(text, ctx)) {
            Ok(input) => all.push(input),
            Err((message, hint)) => {
                complaints.push((format!("input {}: {message}", index + 1), hint));
            }
        }
    }
    if index0 == 0 {
        let path = ["nodes", entry.name, "inputs"];
        for (message, hint) in complaints {
            ctx.report.error(&path, message, hint);
        }
        for input in &all {
            check(input, entry, ctx);
        }
    }
    Some(Box::new(Inputs {
        all,
        shares: u32::try_from(entry.members.len()).unwrap_or(u32::MAX),
        share: index0,
    }))
}

fn input(
    raw: &RawInput,
    mut fill: impl FnMut(&str) -> PathBuf,
) -> Result<Input, (String, &'static str)> {
    let mut place = |word: &Option<String>| word.as_ref().map(|word| fill(word));
    let places = (place(&raw.file), place(&raw.fifo), place(&raw.socket));
    let from = match places {
        (Some(file), None, None) => Origin::Files(file),
        (None, Some(fifo), None) => Origin::Fifo(fifo),
        (None, None, Some(socket)) => Origin::Socket(socket),
        _ => {
            let message = "it needs one of file, fifo and socket";
            return Err((message.to_owned(), "as in (file: \"/var/log/syslog\", …)"));
        }
    };
    let name = from.path().as_os_str().as_encoded_bytes();
    if name.contains(&0) || from.path().file_name().is_none() {
        let message = format!("{} is no file's path", from.path().display());
        return Err((
            message,
            "write the path of a file, or a pattern of its name",
        ));
    }
    let folder = from.path().parent().unwrap_or_else(|| Path::new(""));
    if folder.to_string_lossy().contains(WILD) {
        let hint = "write an input for each directory";
        return Err((
            "a pattern stands for names of files, not of directories".to_owned(),
            hint,
        ));
    }
    let form = match raw.form {
        Some(RawInputForm::Lines) => Form::Lines,
        Some(RawInputForm::Zeek) => Form::Zeek,
        Some(RawInputForm::Json) => Form::Json,
        None => {
            let message = "it is not said what its lines are";
            return Err((message.to_owned(), "add form: Lines, Zeek or Json"));
        }
    };
    let hint = "write an id as Conn::LOG";
    let stream = raw.stream.as_ref().map(StreamId::parse).transpose();
    let stream = stream.map_err(|error| (error.to_string(), hint))?;
    let is_own = |own: &OwnStream| Some(own.id()) == stream;
    if [
        OwnStream::Cluster,
        OwnStream::Reporter,
        OwnStream::Lifecycle,
    ]
    .iter()
    .any(is_own)
    {
        let message = "every node has this stream for itself";
        return Err((message.to_owned(), "choose another id"));
    }
    let path = raw.path.as_ref().map(LogPath::parse).transpose();
    let path = path.map_err(|error| (error.to_string(), "write a name as conn, for conn.log"))?;
    if form == Form::Lines && (stream.is_none() || path.is_none()) {
        let message = "any text does not say where it belongs";
        return Err((
            message.to_owned(),
            "add stream: \"Some::LOG\" and path: \"some\"",
        ));
    }
    Ok(Input {
        from,
        form,
        stream,
        path,
    })
}

/// What may be in order when the node starts, and what the system does not take.
fn check(input: &Input, entry: &Entry<'_>, ctx: &mut Context<'_>) {
    let path = ["nodes", entry.name, "inputs"];
    if let Origin::Socket(socket) = &input.from {
        ctx.check_socket(socket, &path);
    }
    let folder = input.from.path().parent();
    if let Some(folder) = folder.filter(|folder| entry.local && !ctx.host.exists(folder)) {
        let message = format!("there is no directory {}", folder.display());
        let hint = "make it before the node starts: it does not wait for directories";
        ctx.report.warning(&path, message, hint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Machine, layout, on, only, refused, same, with};
    use super::*;

    fn inputs(words: &str) -> Inputs {
        let layout = layout(&with(&format!(
            "node_type: Worker, count: 3, inputs: [{words}]"
        )));
        let mut children = layout.children.into_iter();
        let worker = children.find(|child| child.name.as_str() == "x-2").unwrap();
        *worker.inputs.unwrap()
    }

    fn wrong(words: &str) -> String {
        refused(&with(&format!(
            "node_type: Worker, count: 3, inputs: [{words}]"
        )))
    }

    #[test]
    fn inputs_are_read_with_templates_and_relative_to_the_layout() {
        let found = inputs(
            r#"(file: "{env:LOGS:sample}/*.log", form: Zeek),
            (fifo: "/run/{name}", form: Lines, stream: "A::LOG", path: "a"),
            (socket: "s", form: Json, stream: "B::LOG", path: "b")"#,
        );
        assert_eq!((found.share, found.shares), (1, 3));
        let from: Vec<Origin> = found.all.iter().map(|input| input.from.clone()).collect();
        let expected = [
            Origin::Files("/etc/site/sample/*.log".into()),
            Origin::Fifo("/run/x-2".into()),
            Origin::Socket("/etc/site/s".into()),
        ];
        assert_eq!(from, expected);
        assert_eq!(found.all[0].stream, None);
        assert_eq!(found.all[2].path, Some(LogPath::parse("b").unwrap()));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        for (words, expected) in [
            (
                "(form: Zeek)",
                "input 1: it needs one of file, fifo and socket|as in (file: \"/var/log/syslog\", …)",
            ),
            (
                r#"(file: "a", fifo: "b", form: Zeek)"#,
                "input 1: it needs one of file, fifo and socket|as in (file: \"/var/log/syslog\", …)",
            ),
            (
                r#"(file: "a"), "#,
                "input 1: it is not said what its lines are|add form: Lines, Zeek or Json",
            ),
            (
                r#"(file: "a*/b", form: Zeek)"#,
                "input 1: a pattern stands for names of files, not of directories|write an input for each directory",
            ),
            (
                r#"(file: "a", form: Zeek), (file: "a", form: Lines, path: "p")"#,
                "input 2: any text does not say where it belongs|add stream: \"Some::LOG\" and path: \"some\"",
            ),
            (
                r#"(file: "a", form: Zeek, stream: "Reporter::LOG")"#,
                "input 1: every node has this stream for itself|choose another id",
            ),
            (
                r#"(file: "a", form: Zeek, path: "../x")"#,
                "input 1: the path \"../x\" of a log has a slash: logs lie in one directory|write a name as conn, for conn.log",
            ),
        ] {
            let found = wrong(words);
            assert_eq!(found, format!("3:36|x|inputs|{expected}"));
        }
        same(
            refused(&with(
                r#"node_type: Proxy, command: ["true"], inputs: [(file: "a", form: Zeek)]"#,
            )),
            "3:44|x|inputs|only workers and proxies follow inputs|give it node_type: Worker and no command",
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_once() {
        let text = with("node_type: Worker, count: 2, inputs: [(file: \"/gone/a\", form: Zeek)]");
        let findings = on(&text, &Machine::default()).unwrap().1;
        same(
            only(&findings),
            "3:36|x|inputs|there is no directory /gone|make it before the node starts: it does not wait for directories",
        );
    }

    #[test]
    fn each_file_is_one_nodes() {
        let of = |share| Inputs {
            all: Vec::new(),
            shares: 4,
            share,
        };
        let all = [0, 1, 2, 3].map(of);
        let mut counts = [0; 4];
        for number in 0..400_u32 {
            let letters = char::from_u32(number % 20 + 97).unwrap();
            let path = PathBuf::from(format!("/logs/{number}/{letters}.log"));
            let own: Vec<usize> = (0..4).filter(|index| all[*index].is_own(&path)).collect();
            let [one] = own[..] else {
                panic!("{own:?}");
            };
            counts[one] += 1;
        }
        assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
    }

    #[test]
    fn a_file_that_rotation_renames_stays_with_its_node() {
        for share in 0..4 {
            let inputs = Inputs {
                all: Vec::new(),
                shares: 4,
                share,
            };
            let is_own = |name: &str| inputs.is_own(&Path::new("/logs").join(name));
            for name in [
                "conn-26-01-31_12.00.00.log",
                "conn.2026-01-31-12-00-00.log",
                "conn__2026-01-31-12-00-00__2026-01-31-13-00-00__.log",
                "conn.log.1",
                "conn-1.log",
                "conn.old.log",
            ] {
                assert_eq!(is_own(name), is_own("conn.log"), "{name} {share}");
            }
        }
    }

    #[test]
    fn all_logs_are_not_those_that_zeek_has_rotated() {
        let takes = |pattern: &str, name: &str| {
            let origin = Origin::Files(Path::new("/logs").join(pattern));
            origin.takes(&Path::new("/logs").join(name))
        };
        let rotated = [
            "conn-26-01-31_12.00.00.log",
            "conn.2026-01-31-12-00-00.log",
            "conn__2026-01-31-12-00-00__2026-01-31-13-00-00__.log",
        ];
        for name in rotated {
            assert!(!takes("*.log", name), "{name}");
            assert!(takes("c*.log", name), "{name}");
        }
        for name in ["conn.log", "conn-2.log", "known_hosts.log"] {
            assert!(takes("*.log", name), "{name}");
        }
        assert!(!takes("*.log", "conn.log.1"));
        assert!(!Origin::Files("/other/*.log".into()).takes(Path::new("/logs/conn.log")));
    }

    #[test]
    fn patterns_fit_names_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.log", "conn.log", true),
            ("*.log", ".log", false),
            (".*", ".log", true),
            ("c*n.l?g", "conn.log", true),
            ("c*n", "conn.log", false),
            ("*a*b", "xaybzb", true),
            ("*a*b", "xaybz", false),
            ("a", "a", true),
            ("a", "ab", false),
            ("", "", true),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
