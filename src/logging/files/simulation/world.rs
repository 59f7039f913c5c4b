//! Rings, a logger that is killed, and what lies on the disk.

use super::disk::{Disk, Reach};
use super::oracle::{Moment, check, line};
use crate::data::{Timespan, Timestamp};
use crate::logging::LogPath;
use crate::logging::files::naming::Naming;
use crate::logging::files::rotation::Rotation;
use crate::logging::files::state::State;
use crate::logging::files::{
    Action, Event, Found, Frame, LogFiles, Outcome, Settings, SourceId, SyncPolicy,
};

pub(super) const SECOND: i64 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct Text;

impl Frame for Text {
    fn header(&self, path: &LogPath, schema: &[u8], _: Timestamp) -> Vec<u8> {
        format!("#path {path} {schema:?}\n").into_bytes()
    }

    fn footer(&self, _: &LogPath, _: &[u8], closed: Timestamp) -> Vec<u8> {
        format!("#close {closed}\n").into_bytes()
    }
}

/// What is wrong with the one who carries out the actions, as if the core had asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Records are released before they are written.
    ReleaseEarly,
    /// Nothing is cut.
    SkipCut,
    /// The state has no numbers of paths without a file.
    ForgetNumbers,
    /// Lines are written before the index.
    LinesFirst,
    /// The state is never stored.
    NoState,
    /// The state has one slot only.
    OneSlot,
    /// Names are taken to be free, and files replaced.
    Overwrite,
}

/// A source: each record is the list of the paths of its lines.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    pub(super) id: u128,
    pub(super) records: Vec<Vec<String>>,
    pub(super) head: u64,
    /// The number that the living logger gets next.
    handed: u64,
}

pub(super) struct World {
    pub(super) disk: Disk,
    pub(super) rings: Vec<Ring>,
    pub(super) now: i64,
    pub(super) files: LogFiles<Text>,
    pub(super) events: Vec<Event>,
    pub(super) mutation: Option<Mutation>,
    pub(super) settings: Settings,
    /// So many actions from now it dies, at this byte of what it writes then.
    pub(super) fuse: Option<(u64, usize)>,
    /// The fuse of its successor.
    pub(super) second_fuse: Option<(u64, usize)>,
    pub(super) deaths: u64,
    pub(super) actions: u64,
    /// Bytes of the action that it died of last.
    pub(super) died_of: usize,
    /// Records of one schema; none: all have the same one.
    pub(super) schema_span: Option<u64>,
    held: Option<Action>,
}

pub(super) fn settings() -> Settings {
    Settings {
        extension: "log".to_owned(),
        naming: Naming::supervised(Some("logger-1")),
        rotation: Rotation {
            interval: Some(Timespan::from_nanos(60 * SECOND)),
            bytes_max: None,
        },
        sync: SyncPolicy::Never,
        checkpoint_bytes: 300,
    }
}

impl World {
    pub(super) fn new(settings: Settings) -> Self {
        let now = 1_700_000_000 * SECOND;
        let at = Timestamp::from_nanos(now);
        Self {
            disk: Disk::default(),
            rings: Vec::new(),
            now,
            files: LogFiles::new(settings.clone(), Text, [None, None], at),
            events: Vec::new(),
            mutation: None,
            settings,
            fuse: None,
            second_fuse: None,
            deaths: 0,
            actions: 0,
            died_of: 0,
            schema_span: None,
            held: None,
        }
    }

    pub(super) fn add_ring(&mut self) {
        let id = u128::try_from(self.rings.len()).unwrap() << 90;
        self.rings.push(Ring {
            id,
            records: Vec::new(),
            head: 0,
            handed: 0,
        });
    }

    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_nanos(self.now)
    }

    /// A successor, without a word to the one before.
    pub(super) fn reborn(&mut self) {
        let slots = self.disk.slots();
        let slots = slots.each_ref().map(Option::as_deref);
        self.files = LogFiles::new(self.settings.clone(), Text, slots, self.time());
        self.held = None;
        for ring in &mut self.rings {
            ring.handed = ring.head;
        }
    }

    /// Hands in at most so many records of a ring.
    pub(super) fn deliver(&mut self, ring: usize, count: u64) {
        let ring = &mut self.rings[ring];
        let end = u64::try_from(ring.records.len()).unwrap();
        for number in ring.handed..end.min(ring.handed + count) {
            let record = &ring.records[usize::try_from(number).unwrap()];
            let schema = self
                .schema_span
                .map_or(0, |span| number / span)
                .to_le_bytes();
            let texts = record.iter().enumerate().map(|(part, path)| {
                let name = LogPath::parse(path).unwrap();
                let path_id = self.files.open(&name, &schema).unwrap();
                (path_id, line(path, ring.id, number, part))
            });
            let texts: Vec<_> = texts.collect();
            let lines: Vec<_> = texts
                .iter()
                .map(|(id, text)| (*id, text.as_bytes()))
                .collect();
            self.files
                .accept(SourceId(ring.id), number, &lines)
                .unwrap();
            ring.handed = number + 1;
        }
    }

    /// Carries out what is to be done. After a death its successor does; returns what the oracle says.
    pub(super) fn run(&mut self) -> Result<(), String> {
        while let Some(action) = self.files.action().cloned() {
            self.actions += 1;
            if self.actions > 100_000 {
                return Err(format!("it does not come to an end: {action:?}"));
            }
            let left = self.fuse.map(|(left, _)| left);
            if left == Some(0) {
                let byte = self.fuse.take().map_or(0, |(_, byte)| byte);
                self.act(&action, Reach::Bytes(byte));
                self.deaths += 1;
                self.died_of = 0;
                if let Action::Write { bytes, .. } | Action::Store { bytes, .. } = &action {
                    self.died_of = bytes.len();
                }
                check(&self.disk, &self.rings, Moment::Death)?;
                self.reborn();
                self.fuse = self.second_fuse.take();
                continue;
            }
            if let Some((left, _)) = &mut self.fuse {
                *left -= 1;
            }
            let outcome = self.act(&action, Reach::Whole);
            self.files.done(outcome);
        }
        Ok(())
    }

    fn act(&mut self, action: &Action, reach: Reach) -> Outcome {
        if let Some(outcome) = self.act_wrongly(action, reach) {
            return outcome;
        }
        if reach == Reach::Whole {
            if let Action::Release { source, below } = action {
                let ring = self.rings.iter_mut().find(|ring| ring.id == source.0);
                let ring = ring.expect("released sources are known");
                assert!(*below > ring.head && *below <= ring.handed, "{below}");
                ring.head = *below;
            }
            if let Action::Report(event) = action {
                self.events.push(event.clone());
            }
        }
        self.disk.act(action, reach)
    }

    fn act_wrongly(&mut self, action: &Action, reach: Reach) -> Option<Outcome> {
        match (self.mutation?, action) {
            (Mutation::ReleaseEarly, Action::Write { name, .. }) if name.ends_with(".idx") => {
                for ring in &mut self.rings {
                    ring.head = ring.handed;
                }
                None
            }
            (Mutation::ReleaseEarly, Action::Release { .. }) => Some(Outcome::Done),
            (Mutation::SkipCut, Action::Truncate { .. }) => Some(Outcome::Done),
            (Mutation::NoState, Action::Store { .. }) => Some(Outcome::Done),
            (Mutation::OneSlot, Action::Store { bytes, sync, .. }) => {
                let (slot, bytes, sync) = (0, bytes.clone(), *sync);
                Some(self.disk.act(&Action::Store { slot, bytes, sync }, reach))
            }
            (Mutation::ForgetNumbers, Action::Store { slot, bytes, sync }) => {
                let mut state = State::decode(bytes).unwrap();
                for path in state.paths.iter_mut().filter(|path| path.open.is_none()) {
                    path.sources.clear();
                }
                let (slot, bytes, sync) = (*slot, state.encode(), *sync);
                Some(self.disk.act(&Action::Store { slot, bytes, sync }, reach))
            }
            (Mutation::LinesFirst, Action::Write { name, .. }) if name.ends_with(".idx") => {
                self.held = Some(action.clone());
                Some(Outcome::Done)
            }
            (Mutation::LinesFirst, Action::Write { .. }) => {
                self.disk.act(action, reach);
                let held = self.held.take()?;
                Some(match reach {
                    Reach::Whole => self.disk.act(&held, Reach::Whole),
                    Reach::Bytes(_) => Outcome::Done,
                })
            }
            (Mutation::Overwrite, Action::Inspect { name }) if name.contains('/') => {
                Some(Outcome::Found(Found::default()))
            }
            (Mutation::Overwrite, Action::Rename { from, to }) if reach == Reach::Whole => {
                self.disk.rename(from, to);
                Some(Outcome::Done)
            }
            _ => None,
        }
    }

    /// Everything is handed in, written and released.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.fuse = None;
        self.finish_with_deaths()
    }

    /// The same, while fuses burn.
    pub(super) fn finish_with_deaths(&mut self) -> Result<(), String> {
        let deaths = self.deaths;
        self.run()?;
        self.hand_in_all()?;
        while self.deaths > deaths && self.rings.iter().any(Ring::holds) {
            self.hand_in_all()?;
        }
        check(&self.disk, &self.rings, Moment::End)
    }

    fn hand_in_all(&mut self) -> Result<(), String> {
        for ring in 0..self.rings.len() {
            self.deliver(ring, u64::MAX / 2);
        }
        self.files.flush(self.time());
        self.run()
    }
}

impl Ring {
    fn holds(&self) -> bool {
        usize::try_from(self.head).unwrap() < self.records.len()
    }
}
