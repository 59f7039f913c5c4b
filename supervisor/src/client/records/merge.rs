//! The records of several loggers in the order of their times. Those of one logger stay in theirs.

use std::path::{Path, PathBuf};

use super::chain::{Chain, Wanted};
use super::files;
use super::line::Record;
use crate::client::failure::ClientError;

/// One log, as all its loggers wrote it.
#[derive(Debug)]
pub(super) struct Merged {
    logs: PathBuf,
    wanted: Wanted,
    logger: Option<String>,
    chains: Vec<Chain>,
}

impl Merged {
    /// Of all loggers, or of one.
    pub(super) fn new(logs: &Path, logger: Option<String>, wanted: Wanted) -> Self {
        Self {
            logs: logs.to_owned(),
            wanted,
            logger,
            chains: Vec::new(),
        }
    }

    /// Names below the directory of logs may have changed. Gives the loggers.
    pub(super) fn look_again(&mut self) -> Result<Vec<String>, ClientError> {
        let mut loggers = files::loggers(&self.logs)?;
        loggers.retain(|logger| self.logger.as_ref().is_none_or(|only| only == logger));
        for logger in &loggers {
            if self.chains.iter().all(|chain| chain.logger != *logger) {
                let chain = Chain::new(&self.logs, logger, self.wanted.clone());
                self.chains.push(chain);
            }
        }
        self.chains.iter_mut().for_each(Chain::look_again);
        Ok(loggers)
    }

    /// The next record of all that are there by now.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ClientError> {
        let mut first: Option<(usize, Option<i64>)> = None;
        for (at, chain) in self.chains.iter_mut().enumerate() {
            // What has no time holds up nobody.
            let Some(time) = chain.peek()?.map(|record| record.time) else {
                continue;
            };
            if first.is_none_or(|(_, earliest)| time < earliest) {
                first = Some((at, time));
            }
        }
        let chain = first.and_then(|(at, _)| self.chains.get_mut(at));
        Ok(chain.and_then(Chain::take))
    }

    /// Is there any file?
    pub(super) fn has_files(&self) -> bool {
        self.chains.iter().any(Chain::has_files)
    }

    /// Lines that could not be shown.
    pub(super) fn unreadable(&self) -> u64 {
        self.chains.iter().map(Chain::unreadable).sum()
    }
}
