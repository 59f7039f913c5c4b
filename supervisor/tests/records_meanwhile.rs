//! `records verify` while loggers write, rotate, die and come back: what it sees in between is no fault.

#![cfg(test)]

mod common;
mod written;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use common::{PATIENCE, program, wait_for};
use written::{Logger, WORKER};

fn verify(run_dir: &Path) -> Command {
    let mut verify = program();
    verify.args(["records", "verify", "--run-dir"]).arg(run_dir);
    verify.stdin(Stdio::null());
    verify
}

/// Finds no fault; what is said.
fn proved(run_dir: &Path) -> String {
    let output = verify(run_dir).output().unwrap();
    let [said, told] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    assert!(output.status.success(), "{told}{said}");
    said
}

fn index_of(file: &Path) -> PathBuf {
    PathBuf::from(format!("{}.idx", file.display()))
}

/// Shows: files that are written and rotated as fast as it goes are proved at any moment.
#[test]
fn what_is_being_written_is_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path().to_owned();
    let mut logger = Logger::begin(&run_dir, "logger");
    logger.write("conn", WORKER, 0..1);
    let (sender, stop) = mpsc::channel::<()>();
    let writer = std::thread::Builder::new().name("writer".to_owned());
    let writer = writer.spawn(move || {
        let mut number = 1;
        while stop.try_recv() == Err(mpsc::TryRecvError::Empty) {
            logger.write("conn", WORKER, number..number + 50);
            number += 50;
            if number % 1000 == 1 {
                logger.rotate("conn");
            }
        }
        number
    });
    let writer = writer.unwrap();
    for _ in 0..20 {
        proved(&run_dir);
    }
    drop(sender);
    let written = writer.join().unwrap();
    let told = proved(&run_dir);
    assert!(
        told.contains(&format!("proved: {written} records")),
        "{told}"
    );
}

/// How far a process has read a file that it has open.
fn read_so_far(pid: u32, file: &Path) -> Option<u64> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()? {
        let name = entry.ok()?.file_name().into_string().unwrap();
        let opened = fs::read_link(format!("/proc/{pid}/fd/{name}")).unwrap_or_default();
        if opened == file {
            let facts = fs::read_to_string(format!("/proc/{pid}/fdinfo/{name}")).ok()?;
            let position = facts.lines().find_map(|line| line.strip_prefix("pos:"))?;
            return position.trim().parse().ok();
        }
    }
    None
}

/// Shows: what a dead logger's index tells of lines that never came is no fault, though somebody has read it
/// who waits for them: its successor cuts it off, and others come in their place.
#[test]
fn lines_of_a_dead_logger_do_not_have_to_come() {
    let [dead, other] = [10, 20].map(|first| {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = directory.path().canonicalize().unwrap();
        let mut logger = Logger::begin(&run_dir, "logger");
        logger.write("conn", WORKER, 0..4);
        // All but the index, which is ahead of the others.
        let before = ["conn.log", ".state.0", ".state.1"].map(|name| {
            let file = logger.file(name);
            (file.clone(), fs::read(file).unwrap_or_default())
        });
        logger.write("conn", WORKER, first..first + 4);
        (directory, run_dir, logger.file("conn.log"), before)
    });
    let (_directory, run_dir, file, before) = dead;
    let (_other, _, successors_file, _) = other;
    for (file, bytes) in before {
        fs::write(file, bytes).unwrap();
    }
    let index = index_of(&file);
    let told = index.metadata().unwrap().len();
    let mut verify = verify(&run_dir).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the index is read", PATIENCE, || {
        let is_over = verify.try_wait().unwrap().is_some();
        (is_over || read_so_far(verify.id(), &index) == Some(told)).then_some(())
    });
    // As the successor does, in the same files; the index first.
    for (from, to) in [(index_of(&successors_file), index), (successors_file, file)] {
        fs::write(to, fs::read(from).unwrap()).unwrap();
    }
    assert_eq!(verify.wait().unwrap().code(), Some(0));
}

/// Shows: what is written and rotated after files were listed is left to the next look: a file that came
/// later tells of records that were not there then.
#[test]
fn files_that_come_while_others_are_read_are_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path().canonicalize().unwrap();
    let mut logger = Logger::begin(&run_dir, "logger");
    logger.write("a", WORKER, 0..4).write("b", WORKER, 4..8);
    logger.write("c", WORKER, 8..12);
    // The last line of b comes late, and is waited for when a was read and c was not.
    let file = logger.file("b.log");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 5]).unwrap();
    let index = index_of(&file);
    let told = index.metadata().unwrap().len();
    let mut verify = verify(&run_dir).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the index of b is read", PATIENCE, || {
        let is_over = verify.try_wait().unwrap().is_some();
        (is_over || read_so_far(verify.id(), &index) == Some(told)).then_some(())
    });
    logger.write("a", WORKER, 12..16).rotate("a");
    logger.write("a", WORKER, 16..20).rotate("c");
    fs::write(&file, whole).unwrap();
    assert_eq!(verify.wait().unwrap().code(), Some(0));
}
