//! The controller's role in a node: facts come in over the control socket, the log goes out to a file.
//!
//! Owns: `controller.log` in the node's directory, appended over all of its births.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::time::Instant;

use super::Seat;
use crate::controller::config::Config;
use crate::controller::fact::Fact;
use crate::controller::log::{self, Formatter, Level};
use crate::controller::{Controller, Effect};
use crate::sys;

/// The controller, as its node runs it.
pub(super) struct ControllerRole {
    core: Controller,
    formatter: Formatter,
    log: File,
    effects: Vec<Effect>,
}

impl ControllerRole {
    pub(super) fn begin(seat: &Seat) -> io::Result<Self> {
        let host = sys::host::hostname();
        let config = Config::read(|name| std::env::var(name).ok(), &host)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let path = seat.directory.join(log::FILE);
        let log = OpenOptions::new().create(true).append(true).open(path)?;
        let formatter = Formatter::new(
            seat.name.clone(),
            crate::controller::types::Role::Controller,
            Level::Info,
        );
        let is_new = log.metadata()?.len() == 0;
        let seed = sys::clock::monotonic_ns() ^ u64::from(sys::process::id().unsigned_abs());
        let mut role = Self {
            core: Controller::new(config, seed),
            formatter,
            log,
            effects: Vec::new(),
        };
        if is_new {
            let header = role.formatter.header(sys::clock::wall());
            role.log.write_all(header.as_bytes())?;
        }
        let message = format!("controller is up, incarnation {}", seat.incarnation);
        role.write(Level::Info, &message);
        Ok(role)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.core.next_deadline()
    }

    pub(super) fn on_packet(&mut self, packet: &[u8], now: Instant) {
        match postcard::from_bytes::<Fact>(packet) {
            Ok(fact) => self.core.on_fact(fact, now, &mut self.effects),
            Err(error) => self.write(Level::Error, &format!("rx unreadable fact: {error}")),
        }
        self.carry_out();
    }

    pub(super) fn run_deadlines(&mut self, now: Instant) {
        self.core.on_deadline(now, &mut self.effects);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Log { level, message } => self.write(level, &message),
                // Nobody waits inside the node yet; whoever asked is a client of the API to come.
                Effect::AgentsReady(_) | Effect::Expired(_) => {}
            }
        }
    }

    fn write(&mut self, level: Level, message: &str) {
        if let Some(line) = self.formatter.line(sys::clock::wall(), level, message) {
            // A full disk costs lines of this log, not the controller.
            let _ = self.log.write_all(line.as_bytes());
        }
    }
}
