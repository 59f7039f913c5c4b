//! Clients of the control socket: bytes in, bytes out, and nothing that one of them can hold up.
//!
//! Owns: the listener and every connection. A client that sends garbage is told so and let go; one that
//! does not read costs what its queue may hold, and its place when places run out.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cluster::control::reply::Plain;
use cluster::control::{Code, REQUEST_BYTES_MAX};
use cluster::net::poller::Key;
use cluster::sys;
use serde::Serialize;

use super::{Daemon, Source};

/// So many clients at a time.
const CLIENTS_MAX: usize = 64;

/// A client that lets more than this pile up is let go.
const OUTPUT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What was sent is given back at the latest when it is so much.
const SENT_BYTES_KEPT: usize = 64 * 1024;

/// Above this a follower of output gets no more until it has read, and nobody's next request is taken.
const HOLD_BYTES: usize = 256 * 1024;

/// Names a connection; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientId(pub(super) u64);

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    key: Key,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    /// A request is being worked on; the next one waits.
    busy: bool,
    /// Its requests are being taken: an answer given meanwhile need not see to the next one.
    taking: bool,
    /// Let go when the output is sent.
    closing: bool,
    /// It will ask no more; let go when it has all its answers.
    ended: bool,
    /// Follows events.
    events: bool,
    /// Follows output; true while it does not read.
    held: Option<Arc<AtomicBool>>,
}

impl Client {
    /// May its next request be taken?
    fn may_ask(&self) -> bool {
        !self.busy && !self.closing && self.unsent() <= HOLD_BYTES
    }

    fn unsent(&self) -> usize {
        self.output.len() - self.sent
    }

    fn follows(&self) -> bool {
        self.events || self.held.is_some()
    }

    /// Has it all it will ever ask for?
    fn is_served(&self) -> bool {
        let whole = self.input.contains(&b'\n');
        self.unsent() == 0 && (self.closing || (self.ended && !self.busy && !whole))
    }
}

/// All clients.
#[derive(Debug)]
pub(super) struct Clients {
    listener: UnixListener,
    all: BTreeMap<ClientId, Client>,
    next: u64,
}

impl Clients {
    pub(super) fn new(listener: OwnedFd) -> io::Result<Self> {
        let listener = UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            all: BTreeMap::new(),
            next: 1,
        })
    }

    pub(super) fn listener(&self) -> std::os::fd::BorrowedFd<'_> {
        self.listener.as_fd()
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Whose place is given to another: who does not read, else who neither waits nor follows.
    fn dispensable(&self) -> Option<ClientId> {
        let find = |wanted: fn(&Client) -> bool| {
            let mut all = self.all.iter();
            all.find(|(_, client)| wanted(client)).map(|(id, _)| *id)
        };
        find(|client| client.unsent() > 0)
            .or_else(|| find(|client| !client.busy && !client.follows()))
    }
}

impl Daemon {
    pub(super) fn on_listener(&mut self) {
        loop {
            match self.clients.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if goes_on(&error) => {}
                Err(error) => {
                    // No descriptors, no memory: whoever waits is looked at again with the next one.
                    log::warn!("event=problem error=\"cannot accept a client: {error}\"");
                    return;
                }
            }
        }
    }

    fn admit(&mut self, mut stream: UnixStream) {
        if let Err(refusal) = may_steer(&stream) {
            // A refused client need not read why.
            let _ = stream.set_nonblocking(true);
            let _ = stream.write_all(&line(&refusal));
            return;
        }
        if self.clients.all.len() >= CLIENTS_MAX {
            self.flush_clients(); // who only was not served yet in this turn does read
            match self.clients.dispensable() {
                Some(dispensable) => self.drop_client(dispensable),
                None => {
                    let full = Plain::failed(
                        Code::Conflict,
                        "the supervisor has no place for another client; try again",
                    );
                    let _ = stream.set_nonblocking(true);
                    let _ = stream.write_all(&line(&full));
                    return;
                }
            }
        }
        let id = ClientId(self.clients.next);
        self.clients.next += 1;
        let added = stream
            .set_nonblocking(true)
            .and_then(|()| self.poller.add(stream.as_fd(), Source::Client(id), true));
        match added {
            Ok(key) => {
                self.clients.all.insert(
                    id,
                    Client {
                        stream,
                        key,
                        input: Vec::new(),
                        output: Vec::new(),
                        sent: 0,
                        busy: false,
                        taking: false,
                        closing: false,
                        ended: false,
                        events: false,
                        held: None,
                    },
                );
            }
            Err(error) => log::warn!("event=problem error=\"cannot serve a client: {error}\""),
        }
    }

    pub(super) fn on_client(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.all.get_mut(&id) else {
            return; // it was let go in this turn
        };
        let mut buffer = [0; 16 * 1024];
        loop {
            match client.stream.read(&mut buffer) {
                Ok(0) if client.follows() => {
                    self.drop_client(id);
                    return;
                }
                Ok(0) => {
                    client.ended = true;
                    break;
                }
                Ok(length) => client
                    .input
                    .extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.drop_client(id);
                    return;
                }
            }
            if client.input.len() > REQUEST_BYTES_MAX {
                client.input.clear();
                let most = REQUEST_BYTES_MAX;
                let refusal =
                    Plain::failed(Code::Usage, format!("a request has at most {most} bytes"));
                self.reply_and_close(id, &refusal);
                return;
            }
        }
        self.take_requests(id, now);
    }

    /// Takes the requests that lie there, one after the other. One that takes time holds up the next, and
    /// so do answers that are not read.
    fn take_requests(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.all.get_mut(&id) else {
            return;
        };
        if std::mem::replace(&mut client.taking, true) {
            return;
        }
        let input = std::mem::take(&mut client.input);
        let mut rest = input.as_slice();
        while self.clients.all.get(&id).is_some_and(Client::may_ask)
            && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
        {
            let (request, after) = rest.split_at(end + 1);
            rest = after;
            if let Some(client) = self.clients.all.get_mut(&id) {
                client.busy = true;
            }
            self.on_request(id, request, now);
        }
        if let Some(client) = self.clients.all.get_mut(&id) {
            client.input = rest.to_vec();
            client.taking = false;
        }
    }

    /// Answers a request; the client may ask the next.
    pub(super) fn reply(&mut self, id: ClientId, reply: &impl Serialize) {
        self.send(id, reply);
        if let Some(client) = self.clients.all.get_mut(&id) {
            client.busy = false;
        }
        // A request that waited behind this one is taken with the next bytes, or at once if whole.
        let now = sys::clock::monotonic();
        self.take_requests(id, now);
    }

    pub(super) fn reply_and_close(&mut self, id: ClientId, reply: &impl Serialize) {
        self.send(id, reply);
        if let Some(client) = self.clients.all.get_mut(&id) {
            client.closing = true;
        }
    }

    /// One object of a stream.
    pub(super) fn send(&mut self, id: ClientId, object: &impl Serialize) {
        let Some(client) = self.clients.all.get_mut(&id) else {
            return; // it went away; nobody waits for this
        };
        let bytes = line(object);
        if bytes.len() > OUTPUT_BYTES_MAX {
            let text = "the answer is too large; ask about fewer nodes at a time";
            client
                .output
                .extend(line(&Plain::failed(Code::Failed, text)));
            return;
        }
        client.output.extend(bytes);
        let waiting = client.unsent();
        if let Some(held) = &client.held
            && waiting > HOLD_BYTES
        {
            held.store(true, Ordering::Relaxed); // a flag alone: nothing is published with it
        }
        if waiting > OUTPUT_BYTES_MAX {
            self.drop_client(id);
        }
    }

    /// Sends what waits. Who has read everything, and asked for more meanwhile, is answered at once.
    pub(super) fn flush_clients(&mut self) {
        loop {
            let asking = self.flush_once();
            if asking.is_empty() {
                return;
            }
            let now = sys::clock::monotonic();
            for id in asking {
                self.take_requests(id, now);
            }
        }
    }

    /// Gives those that have read everything and have whole requests waiting.
    fn flush_once(&mut self) -> Vec<ClientId> {
        let mut gone = Vec::new();
        let mut asking = Vec::new();
        let mut released = false;
        for (id, client) in &mut self.clients.all {
            while let Some(rest) = client
                .output
                .get(client.sent..)
                .filter(|rest| !rest.is_empty())
            {
                match client.stream.write(rest) {
                    Ok(written) => client.sent += written,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => {
                        gone.push(*id);
                        break;
                    }
                }
            }
            if client.sent > SENT_BYTES_KEPT {
                client.output.drain(..client.sent);
                client.sent = 0;
            }
            if client.sent == client.output.len() {
                client.output = Vec::new();
                client.sent = 0;
                if client.is_served() {
                    gone.push(*id);
                } else if client.may_ask() && client.input.contains(&b'\n') {
                    asking.push(*id);
                }
                let held = client.held.as_ref();
                released |= held.is_some_and(|held| held.swap(false, Ordering::Relaxed));
            }
        }
        for id in gone {
            self.drop_client(id);
        }
        if released {
            self.output.wake();
        }
        asking
    }

    fn drop_client(&mut self, id: ClientId) {
        if let Some(client) = self.clients.all.remove(&id) {
            self.poller.remove(client.key, client.stream.as_fd());
            if client.held.is_some() {
                self.stop_following(id);
            }
        }
    }

    pub(super) fn follow_events(&mut self, id: ClientId) {
        if let Some(client) = self.clients.all.get_mut(&id) {
            client.events = true;
        }
    }

    pub(super) fn event_followers(&self) -> Vec<ClientId> {
        self.clients
            .all
            .iter()
            .filter(|(_, client)| client.events)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn hold_of(&mut self, id: ClientId) -> Option<Arc<AtomicBool>> {
        let client = self.clients.all.get_mut(&id)?;
        Some(Arc::clone(client.held.get_or_insert_default()))
    }
}

/// One connection that failed says nothing of those behind it.
fn goes_on(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted};
    matches!(error.kind(), ConnectionAborted | Interrupted)
}

/// One object as a line.
fn line(object: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(object).unwrap_or_else(|error| {
        debug_assert!(false, "cannot encode a reply: {error}");
        br#"{"schema":1,"ok":false}"#.to_vec()
    });
    line.push(b'\n');
    line
}

/// Only root and the supervisor's own user may steer.
fn may_steer(stream: &UnixStream) -> Result<(), Plain> {
    let own = sys::process::effective_uid();
    match sys::unix::peer_credentials(stream.as_fd()) {
        Ok((_, uid, _)) if uid == 0 || uid == own => Ok(()),
        Ok((_, uid, _)) => Err(Plain::failed(
            Code::Permission,
            format!("user {uid} may not steer this supervisor; user {own} and root may"),
        )),
        Err(error) => Err(Plain::failed(
            Code::Permission,
            format!("cannot tell who is asking: {error}"),
        )),
    }
}
