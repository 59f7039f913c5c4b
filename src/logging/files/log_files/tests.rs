//! How many paths there are, and which of them gives its place to another one.

use super::*;
use crate::logging::files::Found;
use crate::logging::files::state::State;

#[derive(Debug)]
struct Bare;

impl Frame for Bare {
    fn header(&self, _: &LogPath, _: &[u8], _: Timestamp) -> Vec<u8> {
        Vec::new()
    }

    fn footer(&self, _: &LogPath, _: &[u8], _: Timestamp) -> Vec<u8> {
        Vec::new()
    }
}

const NOW: Timestamp = Timestamp::from_nanos(0);

fn path(number: usize) -> LogPath {
    LogPath::parse(format!("path{number}")).unwrap()
}

/// On a disk where nothing is.
fn act(files: &mut LogFiles<Bare>) {
    while let Some(action) = files.action() {
        let nothing = Found {
            file: None,
            index: None,
        };
        let inspects = matches!(action, Action::Inspect { .. });
        files.done(match inspects {
            true => Outcome::Found(nothing),
            false => Outcome::Done,
        });
    }
}

#[test]
fn a_path_that_was_not_used_for_long_and_has_no_file_gives_its_place_away() {
    let settings = Settings {
        extension: "log".to_owned(),
        naming: Naming::default(),
        rotation: Rotation::default(),
        sync: SyncPolicy::Never,
        checkpoint_bytes: 1 << 20,
    };
    let mut files = LogFiles::new(settings, Bare, [None, None], NOW);
    let first = files.open(&path(0), &[]).unwrap();
    for number in 1..PATHS_MAX {
        files.open(&path(number), &[]).unwrap();
    }
    act(&mut files);
    let another = path(PATHS_MAX);
    assert_eq!(files.open(&another, &[]), Err(Refusal::TooManyPaths));
    for _ in 0..IDLE_FLUSHES {
        assert_eq!(files.open(&path(0), &[]), Ok(first));
        files.flush(NOW);
        act(&mut files);
    }
    let place = files.open(&another, &[7]).unwrap();
    act(&mut files);
    assert_ne!(place, first);
    assert_eq!(files.paths().len(), PATHS_MAX);
    let names: Vec<&LogPath> = files.paths().collect();
    assert_eq!(names[place.0], &another);
    let fresh = State::decode(&files.state().encode()).unwrap();
    assert!(fresh.paths.iter().any(|path| path.name == another));
    // And however many there are, there is one for what belongs nowhere.
    let beyond = files.open_beyond(&path(PATHS_MAX + 1), &[]);
    assert_eq!(files.paths().len(), PATHS_MAX + 1);
    assert_ne!(beyond, place);
}
