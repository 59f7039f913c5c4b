//! The loop's side of what becomes of rotated files.

use std::io;

use crossbeam_channel::{Receiver, Sender};

use super::archive::{Archive, Order, Ways};
use super::config::Config;
use super::retry::Replies;

/// The thread for rotated files, if the layout wants anything of it, and what it needs when it does.
#[derive(Debug)]
pub(super) struct Closing {
    archive: Option<Archive>,
    nudge: Sender<()>,
    nudges: Receiver<()>,
    replies: Replies,
    stop: Receiver<()>,
    /// All that can be done is.
    pub(super) is_finished: bool,
}

impl Closing {
    pub(super) fn new(replies: Replies, stop: Receiver<()>) -> Self {
        let (nudge, nudges) = crossbeam_channel::bounded(1);
        Self {
            archive: None,
            nudge,
            nudges,
            replies,
            stop,
            is_finished: false,
        }
    }

    /// By which the writer thread says that there is another rotated file.
    pub(super) fn nudge(&self) -> Sender<()> {
        self.nudge.clone()
    }

    /// Does what this layout says from now on.
    ///
    /// # Errors
    /// The system's, when it has no thread left.
    pub(super) fn begin(&mut self, config: &Config) -> io::Result<()> {
        if self.archive.is_some() {
            self.order(Order::Settings(Box::new(config.clone())));
        } else if Archive::is_wanted(config) {
            let ways = Ways {
                nudges: self.nudges.clone(),
                replies: self.replies.clone(),
                stop: self.stop.clone(),
            };
            self.archive = Some(Archive::start(config.clone(), ways)?);
        }
        Ok(())
    }

    pub(super) fn processed(&self, request: u64) {
        self.order(Order::Processed(request));
    }

    /// No more files are rotated.
    pub(super) fn finish(&mut self) {
        self.is_finished = self.archive.is_none();
        self.order(Order::Finish);
    }

    fn order(&self, order: Order) {
        if let Some(archive) = &self.archive {
            // It ends only when nobody wants it any more.
            let _ = archive.orders.send(order);
        }
    }
}
