//! A follower against files in memory: random lines, rotations, truncations and deaths; every line comes
//! once, in its order. `SIM_SEED=… cargo test --test follow_sim` replays one seed.

#![cfg(test)]

mod stories;

use std::collections::BTreeMap;

use cluster::follow::{Action, Event, Follower, Identity, Outcome, Position, Settings};
use stories::{Dice, number_of, seeds};

const SEEDS: u64 = 3_000;

/// Steps of a story before everything is written and read to its end.
const STEPS: usize = 400;

/// Longer lines are passed over.
const LINE_BYTES_MAX: usize = 24;

const SETTINGS: Settings = Settings {
    headers: true,
    line_bytes_max: LINE_BYTES_MAX,
    read_bytes: 16,
};

/// Files, who writes them, and who follows.
struct World {
    dice: Dice,
    files: BTreeMap<Identity, Vec<u8>>,
    /// Which file has the name.
    named: Option<Identity>,
    /// Into which the writer writes.
    written: Identity,
    next: u128,
    follower: Follower,
    /// Which file the follower has open.
    open: Option<Identity>,
    /// The place of the last line that was taken.
    taken: Option<Position>,
    /// The header that the follower was last shown since its birth.
    header: Vec<u8>,
    lines: Vec<Vec<u8>>,
    passed: usize,
    deaths: usize,
    /// Rotations come as fast as they are seen, and nobody dies; else there is one at a time.
    is_hasty: bool,
}

/// What an independent reader finds: each record behind its header. A line is passed over if it is too
/// long.
fn expected(files: &BTreeMap<Identity, Vec<u8>>) -> (Vec<Vec<u8>>, usize) {
    let mut records = Vec::new();
    let mut passed = 0;
    for file in files.values() {
        let mut header: &[u8] = b"";
        for line in file.split(|byte| *byte == b'\n') {
            if line.len() > LINE_BYTES_MAX {
                passed += 1;
            } else if line.starts_with(b"#separator ") {
                header = line;
            } else if line.starts_with(b"#") {
                // Something else is said of the file.
            } else if !line.is_empty() {
                records.push([header, b"|", line].concat());
            }
        }
    }
    (records, passed)
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let is_hasty = dice.chance(30);
        Self {
            dice,
            files: BTreeMap::from([(Identity(1), Vec::new())]),
            named: Some(Identity(1)),
            written: Identity(1),
            next: 2,
            follower: Follower::new(SETTINGS, None),
            open: None,
            taken: None,
            header: Vec::new(),
            lines: Vec::new(),
            passed: 0,
            deaths: 0,
            is_hasty,
        }
    }

    fn append(&mut self) {
        let number = self.dice.number(0, 99_999);
        let text = match self.dice.below(12) {
            0 => format!("#separator {number}\n"),
            1 => format!("{}\n", "x".repeat(self.dice.below(4 * LINE_BYTES_MAX))),
            2 => "\n".to_owned(),
            _ => format!("{number}\u{e9}\n"),
        };
        // Half of a character, too.
        let mut bytes = text.into_bytes();
        if self.dice.chance(20) {
            bytes.truncate(self.dice.below(bytes.len()).max(1));
        }
        self.files.get_mut(&self.written).unwrap().extend(bytes);
        self.follower.wake();
    }

    /// The first half: the writer goes on in the file that had the name.
    fn rename(&mut self) {
        let is_followed = self.open == self.named && self.open.is_some();
        let is_begun = self
            .taken
            .is_some_and(|place| Some(place.file) == self.named);
        if self.named == Some(self.written) && is_followed && (self.is_hasty || is_begun) {
            self.named = None;
            self.follower.wake();
        }
    }

    /// The second half.
    fn reopen(&mut self) {
        if self.named.is_none() {
            let file = Identity(self.next);
            self.next += 1;
            self.files.insert(file, Vec::new());
            (self.named, self.written) = (Some(file), file);
            self.follower.wake();
        }
    }

    fn die(&mut self) {
        if self.is_hasty {
            return;
        }
        self.deaths += 1;
        self.follower = Follower::new(SETTINGS, self.taken);
        self.open = None;
        self.header.clear();
    }

    /// Takes a line, or does what is to be done. False: there is nothing.
    fn follow(&mut self) -> bool {
        let action = self.follower.next();
        let has_line = self.follower.line().is_some();
        if has_line && (action.is_none() || self.dice.chance(50)) {
            self.take();
            return true;
        }
        let Some(action) = action else {
            return false;
        };
        if self.dice.chance(3) {
            self.follower.done(Outcome::Failed);
            self.follower.wake();
            return true;
        }
        let outcome = self.answer(&action);
        self.follower.done(outcome);
        true
    }

    fn take(&mut self) {
        let line = self.follower.line().unwrap();
        if line.bytes.starts_with(b"#separator ") {
            self.header = line.bytes.to_vec();
        } else if !line.bytes.starts_with(b"#") {
            if !line.bytes.is_empty() {
                let record = [&self.header, b"|".as_slice(), line.bytes].concat();
                self.lines.push(record);
            }
            self.taken = Some(line.behind);
        }
        self.follower.take();
    }

    fn answer(&mut self, action: &Action) -> Outcome {
        let length = |file: Identity| self.files[&file].len() as u64;
        match action {
            Action::Open => match self.named {
                Some(file) => {
                    self.open = Some(file);
                    Outcome::Opened {
                        file,
                        length: length(file),
                    }
                }
                None => Outcome::Missing,
            },
            Action::Find(file) => {
                self.open = Some(*file);
                Outcome::Opened {
                    file: *file,
                    length: length(*file),
                }
            }
            Action::Look => Outcome::Seen {
                length: length(self.open.unwrap()),
                named: self.named.filter(|file| length(*file) > 0),
            },
            Action::Read { at, bytes } => {
                let file = &self.files[&self.open.unwrap()];
                let at = usize::try_from(*at).unwrap().min(file.len());
                let end = (at + *bytes).min(file.len());
                Outcome::Bytes(file[at..end].to_vec())
            }
            Action::Report(event) => {
                self.told(*event);
                Outcome::Done
            }
        }
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::TooLong { .. } => self.passed += 1,
            // What was in force in another file is not in this one.
            Event::Begun(_) => self.header.clear(),
            Event::Lost(_) | Event::Truncated { .. } => panic!("{event:?}"),
        }
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            match self.dice.below(10) {
                0..3 => self.append(),
                3 => self.rename(),
                4 => self.reopen(),
                5 if self.dice.chance(30) => self.die(),
                _ => drop(self.follow()),
            }
        }
        self.reopen();
        self.files
            .get_mut(&self.written)
            .unwrap()
            .extend(b"\nlast\n");
        self.follower.wake();
        for _ in 0..100 * STEPS {
            if !self.follow() {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

/// Shows: over rotations and deaths at any step every line comes once, in its order and behind its header.
#[test]
fn every_line_comes_once_whatever_happens() {
    let (mut deaths, mut rotations, mut hasty) = (0, 0, 0);
    let count = number_of("SIM_SEEDS").unwrap_or(SEEDS);
    for seed in seeds(count) {
        println!("seed {seed}");
        let mut world = World::new(seed);
        world.play();
        let (records, passed) = expected(&world.files);
        let pairs = world.lines.iter().zip(&records);
        for (line, record) in pairs {
            let [line, record] = [line, record].map(|bytes| bytes.escape_ascii().to_string());
            assert_eq!(line, record, "seed {seed}");
        }
        assert_eq!(world.lines.len(), records.len(), "seed {seed}");
        assert!(world.passed >= passed, "seed {seed}");
        deaths += world.deaths;
        rotations += world.files.len() - 1;
        hasty += usize::from(world.is_hasty) * world.files.len();
    }
    if stories::only_seed().is_none() {
        assert!(
            deaths > 1_000 && rotations > 1_000 && hasty > 300,
            "{deaths} {rotations} {hasty}"
        );
    }
}

fn follow_all(
    follower: &mut Follower,
    named: Option<u128>,
    files: &BTreeMap<u128, &[u8]>,
) -> Vec<String> {
    let mut told = Vec::new();
    // What is open already stays so: it is told by where it is read.
    let mut open = named.unwrap_or_default().min(1);
    loop {
        let outcome = match follower.next() {
            None => match follower.line() {
                Some(line) => {
                    told.push(String::from_utf8_lossy(line.bytes).into_owned());
                    follower.take();
                    continue;
                }
                None => return told,
            },
            Some(Action::Report(event)) => {
                told.push(format!("{event:?}"));
                Outcome::Done
            }
            Some(Action::Open) => match named {
                Some(file) => {
                    open = file;
                    Outcome::Opened {
                        file: Identity(file),
                        length: files[&file].len() as u64,
                    }
                }
                None => Outcome::Missing,
            },
            Some(Action::Find(Identity(file))) => match files.get(&file) {
                Some(bytes) => {
                    open = file;
                    Outcome::Opened {
                        file: Identity(file),
                        length: bytes.len() as u64,
                    }
                }
                None => Outcome::Missing,
            },
            Some(Action::Look) => Outcome::Seen {
                length: files[&open].len() as u64,
                named: named.map(Identity),
            },
            Some(Action::Read { at, .. }) => {
                let at = usize::try_from(at).unwrap();
                Outcome::Bytes(files[&open].get(at..).unwrap_or_default().to_vec())
            }
        };
        follower.done(outcome);
    }
}

#[test]
fn a_truncated_file_is_read_from_its_beginning_and_that_is_told() {
    let mut follower = Follower::new(SETTINGS, None);
    let long: &[u8] = b"one\ntwo\nthr";
    let told = follow_all(&mut follower, Some(1), &BTreeMap::from([(1, long)]));
    assert_eq!(told[1..], ["one", "two"]);
    follower.wake();
    let told = follow_all(
        &mut follower,
        Some(1),
        &BTreeMap::from([(1, b"new\n".as_slice())]),
    );
    assert_eq!(
        told,
        [
            "Truncated { file: Identity(1), read: 11, length: 4 }",
            "new"
        ]
    );
    // It was truncated while nobody lived.
    let place = Position {
        file: Identity(1),
        header: 0,
        offset: 11,
    };
    let mut follower = Follower::new(SETTINGS, Some(place));
    let told = follow_all(
        &mut follower,
        Some(1),
        &BTreeMap::from([(1, b"new\n".as_slice())]),
    );
    assert_eq!(
        told[1..],
        [
            "Truncated { file: Identity(1), read: 11, length: 4 }",
            "new"
        ]
    );
}

#[test]
fn a_file_that_is_gone_is_told_and_the_next_one_followed() {
    let place = Position {
        file: Identity(1),
        header: 0,
        offset: 4,
    };
    let mut follower = Follower::new(SETTINGS, Some(place));
    let told = follow_all(
        &mut follower,
        Some(2),
        &BTreeMap::from([(2, b"b\n".as_slice())]),
    );
    assert_eq!(told[0], "Lost(Identity(1))");
    assert_eq!(told[2..], ["b"]);
    // There is none yet.
    let mut follower = Follower::new(SETTINGS, None);
    assert_eq!(follow_all(&mut follower, None, &BTreeMap::new()), [""; 0]);
    follower.wake();
    let told = follow_all(
        &mut follower,
        Some(2),
        &BTreeMap::from([(2, b"b\n".as_slice())]),
    );
    assert_eq!(told[1..], ["b"]);
}

#[test]
fn the_last_line_of_a_file_needs_no_line_feed_once_there_is_another_file() {
    let mut follower = Follower::new(SETTINGS, None);
    let old: &[u8] = b"a\nb";
    let told = follow_all(&mut follower, Some(1), &BTreeMap::from([(1, old)]));
    assert_eq!(told[1..], ["a"]);
    follower.wake();
    let files = BTreeMap::from([(1, old), (2, b"c\n".as_slice())]);
    let told = follow_all(&mut follower, Some(2), &files);
    assert_eq!((told[0].as_str(), told[2].as_str()), ("b", "c"));
}

#[test]
fn a_line_of_ten_mebibytes_takes_no_memory_and_is_told() {
    let long = "x".repeat(10 << 20);
    let text = format!("a\n{long}\nb\n");
    let mut follower = Follower::new(SETTINGS, None);
    let told = follow_all(
        &mut follower,
        Some(1),
        &BTreeMap::from([(1, text.as_bytes())]),
    );
    assert_eq!(told[1..], ["a", "TooLong { at: 2, bytes: 10485760 }", "b"]);
}
