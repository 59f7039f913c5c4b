//! What each order of the supervisor makes the stem do.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use cluster::supervise::vocabulary::{EscrowKey, Order, VERSION};

use super::{Escrowed, Stem};

impl Stem {
    pub(super) fn obey(&mut self, order: Order, fds: Vec<OwnedFd>, now: Instant) {
        let fd = fds.into_iter().next();
        match order {
            Order::Hello {
                version,
                stem: _,
                soft_limit,
            } => {
                self.soft_limit = soft_limit;
                if version != VERSION {
                    let text =
                        format!("the supervisor speaks version {version}, the stem {VERSION}");
                    self.problem(None, &text);
                }
            }
            Order::Restore(key) => self.restore(key, fd),
            Order::Fabric {
                spec,
                open_to_group,
            } => {
                let (fabric, mut edge) = self.fabric();
                fabric.begin(*spec, open_to_group, &mut edge, now);
            }
            Order::Layout { .. } => {
                let (fabric, mut edge) = self.fabric();
                fabric.lay_out(fd, &mut edge);
            }
            Order::Stages(stages) => self.fleet.set_stages(stages),
            Order::Know { spec, past } => {
                let (name, stage, life) = (spec.name.clone(), spec.stage, spec.life.clone());
                self.know(Arc::from(spec));
                self.fleet.know(name.clone(), stage, life, &past, now);
                self.place(&name);
            }
            Order::Want { name, up, grace } => self.fleet.want(&name, up, grace, now),
            Order::Restart { name, cause } => {
                let mut actions = Vec::new();
                self.fleet.restart(&name, cause, now, &mut actions);
                self.carry_out(actions, now);
            }
            Order::Forget(name) => self.fleet.forget(&name),
            Order::Signal { name, signal } => self.signal(&name, signal),
            Order::Process {
                name,
                request,
                command,
                timeout,
            } => self.run_postprocess(name, request, command, timeout),
            Order::Held(key) => self.on_held(key),
            Order::Shutdown { grace, deadline } => {
                self.going = true;
                self.fleet.expect_more_from(None);
                self.held.clear();
                self.helpers.discard_waiting();
                self.helpers.end_by(now + deadline);
                self.fleet.shut_down(grace, now + deadline);
            }
            Order::Go { before } => {
                self.going = true;
                self.fleet.expect_more_from(before);
                self.trim_due |= before.is_none();
                if before.is_none() {
                    self.forget_strangers();
                }
            }
        }
    }

    fn restore(&mut self, key: EscrowKey, fd: Option<OwnedFd>) {
        let Some(fd) = fd else {
            return;
        };
        match key {
            EscrowKey::Listener { name, address } => {
                let escrowed = Escrowed { fd, held: true };
                self.listeners.insert((name, address), escrowed);
            }
            EscrowKey::Board
            | EscrowKey::AttachSocket
            | EscrowKey::BellMemory(_)
            | EscrowKey::Bell(_)
            | EscrowKey::Ring(_) => self.fabric.restore(key, fd),
        }
    }

    fn on_held(&mut self, key: EscrowKey) {
        match key {
            EscrowKey::Listener { name, address } => self.on_listener_held(name, address),
            EscrowKey::Board
            | EscrowKey::AttachSocket
            | EscrowKey::BellMemory(_)
            | EscrowKey::Bell(_)
            | EscrowKey::Ring(_) => {
                let (fabric, mut edge) = self.fabric();
                fabric.on_held(&key, &mut edge);
            }
        }
    }
}
