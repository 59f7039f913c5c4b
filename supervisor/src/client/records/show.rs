//! `records show`: a log's records, as they stand or as JSON, and those that come.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::rc::Rc;

use cluster::control::Code;
use cluster::sys::clock;

use super::chain::Wanted;
use super::follow::Watch;
use super::line::{Head, Record};
use super::merge::Merged;
use super::{logs, path_of, refused};
use crate::cli::records::ShowArgs;
use crate::cli::values::Since;
use crate::client::failure::ClientError;
use crate::client::out::{Console, clean_bytes};

/// So many records stand before what is followed.
const RECORDS_BEFORE: usize = 10;

/// So much is written at once.
const WRITE_BYTES: usize = 64 * 1024;

/// Shows what is asked for.
pub(super) fn show(args: &ShowArgs, console: &mut Console<'_>) -> Result<Code, ClientError> {
    let logs = logs(&args.common);
    let since = args.since.map(|since| nanos(since).unwrap_or(i64::MAX));
    let wanted = Wanted {
        path: path_of(&args.log)?,
        since,
        as_json: args.common.json,
    };
    let mut merged = Merged::new(&logs, args.logger.clone(), wanted);
    // Before the first look, so that nothing comes unseen in between.
    let watch = args.follow.then(|| Watch::new(&logs)).transpose();
    let watch = watch.map_err(|source| ClientError::File {
        path: logs.clone(),
        source,
    })?;
    let watch_all = |loggers: Vec<String>| match &watch {
        Some(watch) => loggers.iter().try_for_each(|one| watch.logger(&logs, one)),
        None => Ok(()),
    };
    watch_all(merged.look_again()?)?;
    let mut output = Output {
        console,
        pending: Vec::new(),
        head: None,
    };
    let before = args.follow && since.is_none();
    let count = args.count.map(NonZeroUsize::get);
    match count.or_else(|| before.then_some(RECORDS_BEFORE)) {
        Some(count) => output.last(&mut merged, count)?,
        None => output.all(&mut merged)?,
    }
    let Some(watch) = &watch else {
        return output.end(&merged, || {
            format!("there is no such log in {}", logs.display())
        });
    };
    loop {
        if watch.wait(!output.console.is_quiet())? {
            watch_all(merged.look_again()?)?;
        }
        output.all(&mut merged)?;
    }
}

fn nanos(since: Since) -> Option<i64> {
    let millis = since.epoch_ms(clock::wall());
    i64::try_from(millis).ok()?.checked_mul(1_000_000)
}

struct Output<'a, 'b> {
    console: &'a mut Console<'b>,
    pending: Vec<u8>,
    /// The head that was shown last.
    head: Option<Rc<Head>>,
}

impl Output<'_, '_> {
    /// All records that are there by now.
    fn all(&mut self, merged: &mut Merged) -> Result<(), ClientError> {
        while let Some(record) = merged.next()? {
            self.put(&record)?;
        }
        self.write()
    }

    /// The last ones of those.
    fn last(&mut self, merged: &mut Merged, count: usize) -> Result<(), ClientError> {
        let mut last = VecDeque::new();
        while let Some(record) = merged.next()? {
            if last.len() == count {
                last.pop_front();
            }
            last.push_back(record);
        }
        for record in &last {
            self.put(record)?;
        }
        self.write()
    }

    fn put(&mut self, record: &Record) -> Result<(), ClientError> {
        if self.console.is_quiet() {
            return Ok(());
        }
        if let Some(head) = &record.head {
            if self.head.as_ref().is_none_or(|shown| !shown.is_like(head)) {
                self.pending.extend_from_slice(&head.text);
            }
            self.head = Some(Rc::clone(head));
        }
        self.pending.extend_from_slice(&record.line);
        if self.pending.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), ClientError> {
        if !self.pending.is_empty() {
            // What was logged may have come from anywhere; a file or a pipe gets it as it is.
            if self.console.terminal {
                self.console
                    .print_bytes(clean_bytes(&self.pending).as_bytes())?;
            } else {
                self.console.print_bytes(&self.pending)?;
            }
            self.pending.clear();
        }
        Ok(())
    }

    fn end(
        &mut self,
        merged: &Merged,
        nothing: impl FnOnce() -> String,
    ) -> Result<Code, ClientError> {
        if !merged.has_files() {
            return Err(refused(Code::Failed, nothing()));
        }
        match merged.unreadable() {
            0 => Ok(Code::Done),
            lines => {
                let text =
                    format!("{lines} lines are no records of their columns, and were left out");
                self.console.warn(&text);
                Ok(Code::Partial)
            }
        }
    }
}
