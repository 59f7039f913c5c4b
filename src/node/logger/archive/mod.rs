//! What becomes of rotated files: they are packed, a command is run for each, and the oldest go.
//!
//! By a thread of its own, with less of the processor than the others, so that nothing here holds up
//! writing. The writer thread leaves a [note](Closed) of each file and nudges this one, which removes the
//! note when all is done. So what a death interrupts, the successor does: a packed file is there once and
//! whole; the command is run at least once, and again only if somebody died between its end and the
//! removal of the note. Owns: the notes that are there, and files that were rotated.

mod keep;
mod pack;
mod place;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use super::config::Config;
use super::disk::is_for_good;
use super::retry::{GivenUp, Replies, Retry};
use super::words::Reply;
use crate::logging::files::closed::Closed;
use crate::sys::{clock, limits, random};
use pack::Packed;
use place::Place;

/// Commands of one logger that run at a time.
const COMMANDS_MAX: usize = 2;

/// So much less of the processor than the other threads.
const NICER: i32 = 10;

const STACK_BYTES: usize = 512 * 1024;

/// From the loop. There are few: one for each command, and each layout.
#[derive(Debug)]
pub(super) enum Order {
    /// The command has ended for the file of this request.
    Processed(u64),
    /// Another layout.
    Settings(Box<Config>),
    /// Come to an end, and say so.
    Finish,
}

/// The loop's way to the thread.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) orders: Sender<Order>,
    _thread: JoinHandle<()>,
}

/// What a thread is given.
pub(super) struct Ways {
    /// Has room for one: there is something new.
    pub(super) nudges: Receiver<()>,
    pub(super) replies: Replies,
    /// Its other end is dropped when nobody waits for the thread any more.
    pub(super) stop: Receiver<()>,
}

impl Archive {
    /// Whether there is anything to do.
    pub(super) fn is_wanted(config: &Config) -> bool {
        config.notes_closed() || config.keeps_some()
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub(super) fn start(config: Config, ways: Ways) -> io::Result<Self> {
        // An answer to a dead predecessor is no answer to this one.
        let mut first = [0; size_of::<u64>()];
        random::fill(&mut first)?;
        let (orders, inbox) = crossbeam_channel::unbounded();
        let archiver = Archiver {
            config,
            orders: inbox,
            nudges: ways.nudges,
            retry: Retry::new(ways.replies, ways.stop),
            asked: BTreeMap::new(),
            requests: u64::from_le_bytes(first),
            ends: false,
        };
        let thread = Builder::new()
            .name("log-archiver".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                // It may be as nice as can be already.
                let _ = limits::be_nicer(NICER);
                // If it was given up, the notes tell a successor.
                let _ = archiver.turns();
            })?;
        Ok(Self {
            orders,
            _thread: thread,
        })
    }
}

struct Archiver {
    config: Config,
    orders: Receiver<Order>,
    nudges: Receiver<()>,
    retry: Retry,
    /// Notes of files for which a command was asked for, by request.
    asked: BTreeMap<u64, String>,
    requests: u64,
    ends: bool,
}

impl Archiver {
    fn turns(mut self) -> Result<(), GivenUp> {
        loop {
            let Self { retry, config, .. } = &mut self;
            let place = retry.until_done(|| Place::open(config))?;
            self.work(&place)?;
            let Self { retry, config, .. } = &mut self;
            let next = retry.until_done(|| keep::expire(config, &place))?;
            if self.ends && self.asked.is_empty() {
                self.retry.replies.send(Reply::Archived);
                self.retry.replies.wake();
                return Ok(());
            }
            drop(place);
            self.wait(next)?;
        }
    }

    fn wait(&mut self, until: Option<Instant>) -> Result<(), GivenUp> {
        let alarm = until.map_or_else(crossbeam_channel::never, crossbeam_channel::at);
        crossbeam_channel::select! {
            recv(self.nudges) -> _ => Ok(()),
            recv(alarm) -> _ => Ok(()),
            recv(self.orders) -> order => match order {
                Ok(order) => self.obey(order),
                Err(_) => Err(GivenUp),
            },
        }
    }

    fn obey(&mut self, order: Order) -> Result<(), GivenUp> {
        match order {
            Order::Processed(request) => {
                let Some(note) = self.asked.remove(&request) else {
                    return Ok(());
                };
                let Self { retry, config, .. } = self;
                return retry.until_done(|| Place::open(config)?.forget(&note));
            }
            Order::Settings(config) => self.config = *config,
            Order::Finish => self.ends = true,
        }
        Ok(())
    }

    /// Does what can be done with each file that was noted, the oldest first.
    fn work(&mut self, place: &Place) -> Result<(), GivenUp> {
        for note in self.retry.until_done(|| place.notes())? {
            // What has come meanwhile may be the end of a command.
            while let Ok(order) = self.orders.try_recv() {
                self.obey(order)?;
            }
            let is_asked = self.asked.values().any(|asked| *asked == note);
            if is_asked || self.asked.len() >= COMMANDS_MAX {
                continue;
            }
            let Some(closed) = self.retry.until_done(|| place.read(&note))? else {
                continue;
            };
            self.archive(place, &note, closed)?;
        }
        Ok(())
    }

    fn archive(&mut self, place: &Place, note: &str, mut closed: Closed) -> Result<(), GivenUp> {
        let mut is_there = true;
        if self.config.spec.gzip {
            match self.pack(place, note, &closed)? {
                Packed::As(name) => closed.name = name,
                Packed::Gone => is_there = false,
                Packed::Not(why) => {
                    let name = closed.name.clone();
                    self.tell(Reply::NotPacked { name, why });
                }
            }
        }
        if is_there && !self.config.spec.postprocess.is_empty() {
            self.requests = self.requests.wrapping_add(1);
            let request = self.requests;
            self.asked.insert(request, note.to_owned());
            let is_ending = self.ends;
            self.tell(Reply::Closed {
                request,
                closed,
                is_ending,
            });
            return Ok(());
        }
        self.retry.until_done(|| place.forget(note))
    }

    fn pack(&mut self, place: &Place, note: &str, closed: &Closed) -> Result<Packed, GivenUp> {
        let syncs = self.config.syncs();
        loop {
            let is_given_up = || self.retry.is_given_up();
            let packed = match place.pack(&closed.name, note, syncs, &is_given_up) {
                Err(error) if is_for_good(&error) => Ok(Packed::Not(error.to_string())),
                Err(error) if error.kind() == ErrorKind::Interrupted && is_given_up() => {
                    return Err(GivenUp);
                }
                outcome => outcome,
            };
            if let Some(packed) = self.retry.tried(packed)? {
                return Ok(packed);
            }
        }
    }

    fn tell(&self, reply: Reply) {
        self.retry.replies.send(reply);
        self.retry.replies.wake();
    }
}

/// When a point in time of the wall clock will be, if it goes on as it does.
fn instant_of(at: crate::data::Timestamp) -> Option<Instant> {
    let now: crate::data::Timestamp = clock::wall().into();
    let left = u64::try_from(at.nanos().saturating_sub(now.nanos())).unwrap_or(0);
    clock::monotonic().checked_add(std::time::Duration::from_nanos(left))
}
