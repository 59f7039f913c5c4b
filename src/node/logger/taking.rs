//! Records on their way into files: whose they are, and which path they go to.

use std::time::Instant;

use super::retry::GivenUp;
use super::thread::Thread;
use super::words::Reply;
use crate::logging::files::state::Losses;
use crate::logging::files::{PathId, SourceId};
use crate::logging::message::{Create, Message, WriterId};
use crate::logging::writers::Sender;

impl Thread {
    /// Takes a record. False: it is refused, and stands nowhere.
    pub(super) fn take_record(&mut self, sender: Sender, number: u64, payload: &[u8]) -> bool {
        let source = sender.source;
        // It came behind the word of which rings are there, or is younger than that.
        if let Some(rings) = &mut self.rings {
            rings.insert(source);
        }
        let taken = match Message::decode(payload) {
            Ok(Message::Create(id, create)) => self.introduce(sender, id, create),
            Ok(Message::Lines(id, lines)) if self.may_be(sender, id, lines) => {
                let path = self.path_of(sender, id);
                self.accept(source, number, &[(path, lines)])
            }
            Ok(Message::Lines(..)) => Err("a guest's line is no record of its writer".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let is_taken = match taken {
            Ok(Taken::Lines) => return true,
            Ok(Taken::Writer) => true,
            Err(why) => {
                self.refuse(why);
                false
            }
        };
        // Without lines nothing can be wrong with it.
        let _ = self.accept(source, number, &[]);
        is_taken
    }

    fn accept(
        &mut self,
        source: SourceId,
        number: u64,
        lines: &[(PathId, &[u8])],
    ) -> Result<Taken, String> {
        match self.files.accept(source, number, lines) {
            Ok(_) => Ok(Taken::Lines),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    fn introduce(&mut self, sender: Sender, id: WriterId, create: Create) -> Result<Taken, String> {
        // Somebody else may have had to go for it.
        self.last = None;
        match self.writers.introduce(sender, id, create) {
            Ok(()) => Ok(Taken::Writer),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    pub(super) fn store_writers(&mut self) -> Result<(), GivenUp> {
        let (table, syncs) = (self.writers.encode(), self.syncs);
        let Self { retry, disk, .. } = self;
        retry.until_done(|| disk.store_writers(&table, syncs))
    }

    /// The cluster's own nodes have formed their lines as they should; a guest may send anything.
    fn may_be(&mut self, sender: Sender, id: WriterId, lines: &[u8]) -> bool {
        if !sender.is_guest {
            return true;
        }
        let said = self.writers.lines(sender, id);
        said.is_none_or(|(_, create)| create.is_record(lines))
    }

    fn path_of(&mut self, sender: Sender, id: WriterId) -> PathId {
        if let Some((last, writer, path)) = self.last
            && (last, writer) == (sender.source, id)
        {
            return path;
        }
        let Some((path, create)) = self.writers.lines(sender, id) else {
            return self.path_of_stranger(id);
        };
        let opened = self.opened.get(path).filter(|(_, writer)| *writer == id);
        let path = match opened {
            Some((path, _)) => *path,
            None => {
                let Ok(opened) = self.files.open(path, &create.file_schema()) else {
                    return self.path_of_stranger(id);
                };
                self.files
                    .set_interval(opened, create.interval.map(Into::into));
                // It may have the place of one that was not used any more.
                self.opened.retain(|_, (path, _)| *path != opened);
                self.opened.insert(path.clone(), (opened, id));
                opened
            }
        };
        self.last = Some((sender.source, id, path));
        if self.silence.is_wanted() {
            self.spoken.insert(id);
        }
        path
    }

    /// Where lines stand of whose writer there is no file, or of which nobody has said what they are.
    fn path_of_stranger(&mut self, id: WriterId) -> PathId {
        let path = self.strangers.path(id);
        let opened = self.files.open_beyond(&path, &[]);
        let (_, records) = self.aside.get_or_insert((path, 0));
        *records += 1;
        self.files.lose(Losses {
            aside: 1,
            ..Losses::default()
        });
        opened
    }

    /// Notes which streams have spoken, and tells of those that do not any more.
    pub(super) fn listen(&mut self, now: Instant) {
        let spoken = std::mem::take(&mut self.spoken);
        for (path, create) in spoken.iter().filter_map(|id| self.writers.known(*id)) {
            self.silence.spoke(&create.stream, path, now);
        }
        // Who goes on has to be met again.
        if !spoken.is_empty() {
            self.last = None;
        }
        if self.silence.next().is_some_and(|next| next <= now) {
            for silent in self.silence.fallen(now) {
                self.retry.replies.send(Reply::Silent(silent));
            }
            self.retry.replies.wake();
        }
    }

    fn refuse(&mut self, why: String) {
        let (_, count) = self.refused.get_or_insert((why, 0));
        *count += 1;
        self.files.lose(Losses {
            refused: 1,
            ..Losses::default()
        });
    }
}

/// What came of a record.
enum Taken {
    /// Its lines are to stand in a file.
    Lines,
    /// It says who a writer is.
    Writer,
}
