//! Records on their way into files: whose they are, and which path they go to.

use std::time::Instant;

use super::retry::GivenUp;
use super::thread::Thread;
use super::words::Reply;
use crate::logging::files::{PathId, SourceId};
use crate::logging::message::{Create, Message, WriterId};
use crate::logging::writers::Introduced;

impl Thread {
    /// Takes a record. False: it is refused, and stands nowhere.
    pub(super) fn take_record(
        &mut self,
        source: SourceId,
        number: u64,
        payload: &[u8],
    ) -> Result<bool, GivenUp> {
        // It came behind the word of which rings are there, or is younger than that.
        if let Some(rings) = &mut self.rings {
            rings.insert(source);
        }
        let taken = match Message::decode(payload) {
            Ok(Message::Create(id, create)) => self.introduce(source, id, create)?,
            Ok(Message::Lines(id, lines)) => self
                .path_of(source, id)
                .and_then(|path| self.accept(source, number, &[(path, lines)])),
            Err(error) => Err(error.to_string()),
        };
        let is_taken = match taken {
            Ok(Taken::Lines) => return Ok(true),
            Ok(Taken::Writer) => true,
            Err(why) => {
                self.refuse(why);
                false
            }
        };
        // Without lines nothing can be wrong with it.
        let _ = self.accept(source, number, &[]);
        Ok(is_taken)
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

    /// A writer is in the table before its record is released.
    fn introduce(
        &mut self,
        source: SourceId,
        id: WriterId,
        create: Create,
    ) -> Result<Result<Taken, String>, GivenUp> {
        match self.writers.introduce(source, id, create) {
            Ok(Introduced::Known) => {}
            Ok(Introduced::New) => self.store_writers()?,
            Err(refusal) => return Ok(Err(refusal.to_string())),
        }
        Ok(Ok(Taken::Writer))
    }

    pub(super) fn store_writers(&mut self) -> Result<(), GivenUp> {
        let (table, syncs) = (self.writers.encode(), self.syncs);
        let Self { retry, disk, .. } = self;
        retry.until_done(|| disk.store_writers(&table, syncs))
    }

    fn path_of(&mut self, source: SourceId, id: WriterId) -> Result<PathId, String> {
        if let Some((last, writer, path)) = self.last
            && (last, writer) == (source, id)
        {
            return Ok(path);
        }
        let Some((path, create)) = self.writers.lines(source, id) else {
            return self.path_of_stranger(id);
        };
        let opened = self.opened.get(path).filter(|(_, writer)| *writer == id);
        let path = match opened {
            Some((path, _)) => *path,
            None => {
                let opened = self.files.open(path, &create.file_schema());
                let opened = opened.map_err(|refusal| refusal.to_string())?;
                self.files
                    .set_interval(opened, create.interval.map(Into::into));
                self.opened.insert(path.clone(), (opened, id));
                opened
            }
        };
        self.last = Some((source, id, path));
        if self.silence.is_wanted() {
            self.spoken.insert(id);
        }
        Ok(path)
    }

    /// Where lines stand of which nobody has said what they are.
    fn path_of_stranger(&mut self, id: WriterId) -> Result<PathId, String> {
        let path = self.strangers.path(id);
        let opened = self.files.open(&path, &[]);
        let opened = opened.map_err(|refusal| refusal.to_string())?;
        let (_, records) = self.aside.get_or_insert((path, 0));
        *records += 1;
        Ok(opened)
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
    }
}

/// What came of a record.
enum Taken {
    /// Its lines are to stand in a file.
    Lines,
    /// It says who a writer is.
    Writer,
}
