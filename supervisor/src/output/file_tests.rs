use std::fs;
use std::path::Path;

use super::*;

/// A file under test with the clock in hand.
struct Bench {
    file: AppendFile,
    rotation: Rotation,
    now: Instant,
    events: Vec<FileEvent>,
}

#[expect(clippy::disallowed_methods, reason = "a test's clock starts somewhere")]
fn start() -> Instant {
    Instant::now()
}

impl Bench {
    fn on(path: &Path, rotate_bytes: u64) -> Self {
        let mut file = AppendFile::new(path.to_owned(), None);
        file.open().unwrap();
        Self {
            file,
            rotation: Rotation {
                bytes: rotate_bytes,
                keep: 1000,
            },
            now: start(),
            events: Vec::new(),
        }
    }

    fn with(&mut self, act: impl FnOnce(&mut AppendFile, &mut Appending<'_>)) {
        let mut to = Appending {
            rotation: self.rotation,
            now: self.now,
            events: &mut self.events,
        };
        act(&mut self.file, &mut to);
    }

    fn append(&mut self, writer: Writer, text: &str) {
        self.with(|file, to| file.append(writer, text.as_bytes(), to));
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn rotation_falls_between_lines_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdout.log");
    let mut bench = Bench::on(&path, 100);
    let mut wanted = String::new();
    for number in 0..200 {
        let text = format!("line {number}\n{}", "x".repeat(number % 30));
        bench.append(1, &text);
        wanted.push_str(&text);
    }
    let rotations = bench.events.len();
    assert!(rotations > 20);
    assert!(bench.events.iter().all(|e| *e == FileEvent::Rotated));
    let mut all = String::new();
    for number in (1..=rotations).rev() {
        let old = read(&place::numbered(&path, u32::try_from(number).unwrap()));
        assert!(old.ends_with('\n') && old.len() < 140, "{old:?}");
        all.push_str(&old);
    }
    all.push_str(&read(&path));
    assert_eq!(all, wanted);
}

#[test]
fn a_line_longer_than_a_whole_file_is_kept_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdout.log");
    let mut bench = Bench::on(&path, 10);
    bench.append(1, "short\n");
    bench.append(1, "0123456789");
    bench.append(1, "0123456789\nnext\n");
    assert_eq!(read(&path), "next\n");
    assert_eq!(read(&place::numbered(&path, 1)), "01234567890123456789\n");
    assert_eq!(read(&place::numbered(&path, 2)), "short\n");
}

#[test]
fn two_writers_never_share_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdout.log");
    fs::write(&path, "from before").unwrap();
    let mut bench = Bench::on(&path, 0);
    bench.append(1, "half ");
    bench.append(1, "a line");
    bench.file.open().unwrap();
    bench.append(1, ", whole\nand");
    bench.append(2, "other\n");
    bench.append(1, "more\n");
    assert_eq!(
        read(&path),
        "from before\nhalf a line, whole\nand\nother\nmore\n"
    );
}

#[test]
fn a_file_that_was_deleted_or_moved_is_made_again_within_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("worker-1/stdout.log");
    let mut bench = Bench::on(&path, 0);
    bench.append(1, "one\n");
    fs::remove_dir_all(dir.path().join("worker-1")).unwrap();
    bench.pass(1);
    bench.append(1, "two\n");
    assert_eq!(read(&path), "two\n");
    fs::rename(&path, dir.path().join("moved")).unwrap();
    bench.append(1, "three\n");
    assert_eq!(read(&dir.path().join("moved")), "two\nthree\n");
    bench.file.open().unwrap();
    bench.append(1, "four\n");
    assert_eq!(read(&path), "four\n");
    fs::remove_file(&path).unwrap();
    bench.file.check();
    bench.append(1, "five\n");
    assert_eq!(read(&path), "five\n");
}

#[test]
fn a_file_that_others_cut_short_is_not_rotated_early() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdout.log");
    let mut bench = Bench::on(&path, 10);
    bench.append(1, "12345678\n");
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(0)
        .unwrap();
    bench.pass(1);
    bench.append(1, "abcdefgh\n");
    assert_eq!(read(&path), "abcdefgh\n");
    assert!(bench.events.is_empty());
}

#[test]
fn a_rotation_that_fails_is_told_and_the_file_grows_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdout.log");
    fs::create_dir_all(dir.path().join("stdout.log.1/not-empty")).unwrap();
    let mut bench = Bench::on(&path, 10);
    bench.rotation.keep = 1;
    for _ in 0..3 {
        bench.append(1, "1234567\n");
    }
    assert_eq!(read(&path).len(), 24);
    assert!(matches!(
        bench.events[..],
        [FileEvent::RotationFailed(_), ..]
    ));
    assert!(bench.events.len() <= 2);
}

/// Shows: on a full disk every byte is accounted for, and the end of the loss is told once.
/// `/dev/full` behind a link stands for the disk; it is swapped for a file when "room" comes back.
#[test]
fn what_a_full_disk_costs_is_counted_and_told_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdout.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let mut bench = Bench::on(&path, 100);
    bench.append(1, "0123456789");
    bench.append(1, "0123456789\n");
    bench.pass(10);
    bench.append(1, "x");
    let loss = |state, total| FileEvent::Loss {
        state,
        total,
        why: io::Error::from_raw_os_error(28).to_string(),
    };
    let told = [loss(LossState::Began, 10), loss(LossState::Continues, 22)];
    assert_eq!(bench.events, told);
    assert!(bench.file.is_losing());
    fs::remove_file(&path).unwrap();
    bench.pass(1);
    bench.with(AppendFile::retry);
    let notice =
        "…[22 bytes of output could not be written: No space left on device (os error 28)]\n";
    assert_eq!(read(&path), notice);
    bench.append(1, "again\n");
    assert_eq!(read(&path), format!("{notice}again\n"));
    assert_eq!(bench.events.len(), 2, "not over before a moment has passed");
    bench.pass(1);
    bench.with(AppendFile::retry);
    assert_eq!(bench.events[2], loss(LossState::Over, 22));
    assert!(!bench.file.is_losing());
}

/// Shows: of a write that the disk takes in part, exactly the rest counts as lost. A fifo of known
/// size stands for a disk with a little room left.
#[test]
fn a_write_that_is_taken_in_part_is_accounted_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stdout.log");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut bench = Bench::on(&path, 0);
    let flood = "0123456\n".repeat(32 * 1024);
    bench.append(1, &flood);
    let [FileEvent::Loss { total, .. }] = &bench.events[..] else {
        panic!("one loss, not {:?}", bench.events);
    };
    let lost = usize::try_from(*total).unwrap();
    let mut taken = vec![0; flood.len()];
    let mut reader = File::open(&path).unwrap();
    let count = io::Read::read(&mut reader, &mut taken).unwrap();
    assert_eq!(count + lost, flood.len());
    assert!(count > 0 && lost > 0);
}
