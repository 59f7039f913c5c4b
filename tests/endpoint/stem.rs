//! A stem by hand: it has a board, makes rings when asked, and gives seats; in a thread of this process,
//! so that endpoints in other threads find it as they would find the real one.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use cluster::fabric::rings::{Deed, Rings, Seen, Sizes, Tenant};
use cluster::fabric::streams::{ACCOUNT_BYTES, Streams};
use cluster::fabric::{
    Answer, Ask, FabricSpec, RingKey, SEAT_PACKET_BYTES_MAX, Slot, Transport, VERSION,
};
use cluster::layout::spec::Role;
use cluster::names::{Incarnation, LifeId, NodeName};
use cluster::node::endpoint::Endpoint;
use cluster::shm::Board;
use cluster::shm::bell::{self, Ringer};
use cluster::shm::board::State;
use cluster::shm::ring::{self, Accounting, Observer, Reader};
use cluster::sys::{packet, unix};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

#[path = "stem/books.rs"]
mod books;
#[path = "stem/guests.rs"]
mod guests;

pub(crate) use books::Accounts;

const SLOTS: u32 = 16;

/// Plays the stem until it is dropped.
pub(crate) struct HandStem {
    state: Arc<Mutex<Inner>>,
    wake: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    spec: FabricSpec,
    board: Board,
    board_file: OwnedFd,
    layout: Option<OwnedFd>,
    nodes: BTreeMap<Slot, Node>,
    book: Rings,
    /// Their memory.
    rings: BTreeMap<RingKey, OwnedFd>,
    streams: Streams<OwnedFd>,
    /// Rings are not made while this is set.
    withholds: bool,
    /// Rings that their readers have drained.
    drained: Vec<RingKey>,
    guests: guests::Guests,
    over: bool,
}

struct Node {
    name: NodeName,
    role: Role,
    incarnation: Incarnation,
    bell: bell::Files,
    ringer: Ringer,
    socket: Option<OwnedFd>,
}

#[allow(
    dead_code,
    reason = "each program that includes this file uses its part"
)]
impl HandStem {
    pub(crate) fn new(spec: FabricSpec) -> Self {
        let (board, board_file) = Board::create(SLOTS).unwrap();
        let state = Arc::new(Mutex::new(Inner {
            spec,
            board,
            board_file,
            layout: None,
            nodes: BTreeMap::new(),
            book: Rings::default(),
            rings: BTreeMap::new(),
            streams: Streams::default(),
            withholds: false,
            drained: Vec::new(),
            guests: guests::Guests::default(),
            over: false,
        }));
        let (wake, woken) = packet::pair().unwrap();
        let served = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("stem".to_owned());
        let thread = thread.spawn(move || serve(&served, &woken)).unwrap();
        Self {
            state,
            wake,
            thread: Some(thread),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.state.lock().unwrap()
    }

    fn wake(&self) {
        packet::send(self.wake.as_fd(), b"w", &[]).unwrap();
    }

    /// A place for a node.
    pub(crate) fn add(&self, name: &str, role: Role) -> Slot {
        self.add_as(name, role, false)
    }

    pub(crate) fn add_as(&self, name: &str, role: Role, attached: bool) -> Slot {
        self.lock()
            .add(NodeName::parse(name).unwrap(), role, attached)
    }

    /// The next incarnation sits down.
    pub(crate) fn seat(&self, slot: Slot, fault: bool) -> OwnedFd {
        let theirs = self.lock().seat(slot, fault);
        self.wake();
        theirs
    }

    /// The next incarnation's endpoint, which wants these prefixes and has said so.
    pub(crate) fn endpoint(&self, slot: Slot, wants: &[&str]) -> Endpoint {
        let mut endpoint = Endpoint::on(self.seat(slot, false)).unwrap();
        for prefix in wants {
            endpoint.subscribe(prefix, Default::default()).unwrap();
        }
        endpoint.announce();
        endpoint
    }

    /// Whoever sits down from now on is told of this layout.
    pub(crate) fn lay_out(&self, json: &str) {
        let sealed = cluster::sys::memory::seal("layout", json.as_bytes()).unwrap();
        self.lock().layout = Some(sealed);
    }

    pub(crate) fn tell_of_layout(&self, slot: Slot, json: &str) {
        let sealed = cluster::sys::memory::seal("layout", json.as_bytes()).unwrap();
        self.lock().say(slot, &Answer::Layout, &[&sealed]);
    }

    pub(crate) fn set_state(&self, slot: Slot, to: State) {
        let state = self.lock();
        state.board.set_state(slot, to);
        state.tell_all();
    }

    /// It left for good: rings to it go, rings from it stay until they are drained.
    pub(crate) fn leaves(&self, slot: Slot) {
        let mut state = self.lock();
        state.board.set_state(slot, State::Left);
        state.left(slot);
        state.tell_all();
    }

    pub(crate) fn withhold_rings(&self, withhold: bool) {
        self.lock().withholds = withhold;
    }

    pub(crate) fn drained(&self) -> Vec<RingKey> {
        self.lock().drained.clone()
    }

    pub(crate) fn rings(&self) -> Vec<RingKey> {
        self.lock().rings.keys().copied().collect()
    }

    pub(crate) fn state_of(&self, slot: Slot) -> Option<State> {
        self.lock().board.entry(slot).map(|entry| entry.state)
    }

    pub(crate) fn board(&self) -> Board {
        Board::map(self.lock().board_file.as_fd()).unwrap()
    }

    pub(crate) fn accounts(&self, from: Slot, to: Slot) -> Accounts {
        self.lock().accounts(from, to)
    }
}

impl Inner {
    fn tell_all(&self) {
        self.board.bump();
        for node in self.nodes.values() {
            node.ringer.ring_if_asleep().unwrap();
        }
    }

    fn add(&mut self, name: NodeName, role: Role, attached: bool) -> Slot {
        let slot = self.board.find_empty().unwrap();
        self.board.occupy(slot, &name, role, attached);
        let bell = bell::create().unwrap();
        let ringer = Ringer::map(bell.try_clone().unwrap()).unwrap();
        let node = Node {
            name,
            role,
            incarnation: Incarnation(0),
            bell,
            ringer,
            socket: None,
        };
        self.nodes.insert(slot, node);
        self.tell_all();
        slot
    }

    fn seat(&mut self, slot: Slot, fault: bool) -> OwnedFd {
        let (ours, theirs) = packet::pair().unwrap();
        self.welcome(slot, ours, fault);
        theirs
    }

    fn welcome(&mut self, slot: Slot, ours: OwnedFd, fault: bool) {
        let node = self.nodes.get_mut(&slot).unwrap();
        node.incarnation = node.incarnation.next();
        let incarnation = node.incarnation;
        node.socket = Some(ours);
        let (name, role) = (node.name.clone(), node.role);
        let mut id = [u8::try_from(incarnation.0 % 256).unwrap(); 16];
        id[0] = u8::try_from(slot.0 % 256).unwrap();
        let id = LifeId(id);
        self.board.born(slot, incarnation, id, std::process::id());
        let node = &self.nodes[&slot];
        let welcome = Answer::Welcome {
            version: VERSION,
            name,
            role,
            slot,
            incarnation,
            fault,
            fabric: Box::new(self.spec.clone()),
        };
        let files = [&self.board_file, &node.bell.page, &node.bell.event];
        self.say(slot, &welcome, &files);
        if let Some(layout) = &self.layout {
            self.say(slot, &Answer::Layout, &[layout]);
        }
        for key in self.rings.keys().copied().collect::<Vec<_>>() {
            self.tell_of_ring(slot, key);
        }
        self.say(slot, &Answer::Seated, &[]);
        self.tell_all();
    }

    fn say(&self, to: Slot, answer: &Answer, files: &[&OwnedFd]) {
        let files: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        self.say_with(to, answer, &files);
    }

    fn say_with(&self, to: Slot, answer: &Answer, files: &[BorrowedFd<'_>]) {
        let Some(socket) = self.nodes.get(&to).and_then(|node| node.socket.as_ref()) else {
            return;
        };
        let packet = postcard::to_stdvec(answer).unwrap();
        match packet::send(socket.as_fd(), &packet, files) {
            Ok(()) => {}
            // It died; the next one is told of everything.
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    /// Tells `to` of a ring if it is one of its own.
    fn tell_of_ring(&mut self, to: Slot, key: RingKey) {
        let peer = match to {
            to if to == key.from => key.to,
            to if to == key.to => key.from,
            _ => return,
        };
        if self.nodes.get(&to).is_none_or(|node| node.socket.is_none()) {
            return; // told of when it sits down
        }
        let is_stream = self.spec.transport == Transport::Unix;
        let is_new = is_stream && self.streams.ensure(key, to, unix::stream_pair).unwrap();
        let bell = &self.nodes[&peer].bell;
        let mut files = vec![
            self.rings[&key].as_fd(),
            bell.page.as_fd(),
            bell.event.as_fd(),
        ];
        files.extend(self.streams.get(key, to).map(AsFd::as_fd));
        let writer = self.board.entry(key.from);
        let from_guest = writer.is_some_and(|writer| writer.attached);
        self.say_with(to, &Answer::Ring { key, from_guest }, &files);
        self.streams.forget(key, to);
        if is_new {
            if self
                .board
                .entry(peer)
                .is_none_or(|entry| entry.state == State::Left)
            {
                self.streams.forget(key, peer);
            } else {
                self.tell_of_ring(peer, key);
            }
        }
    }

    fn hear(&mut self, from: Slot, ask: Ask) {
        match ask {
            Ask::Announce => {
                self.board.set_state(from, State::Up);
                self.tell_all();
            }
            Ask::Ring {
                to,
                class,
                record_bytes,
            } => {
                if self.withholds {
                    return;
                }
                let reader = self.tenant(to);
                let sizes = self.sizes();
                let link = (from, to, class);
                match self.book.ask(link, record_bytes, reader, &sizes, None) {
                    Ok(deed) => self.carry_out(deed),
                    Err(why) => {
                        let ring = Some((to, class));
                        self.say(from, &Answer::Refused { why, ring }, &[]);
                    }
                }
            }
            Ask::Drained(key) => {
                let Some(memory) = self.rings.get(&key) else {
                    return; // it went before
                };
                let mut reader = Reader::map(memory.try_clone().unwrap()).unwrap();
                let seen = Seen {
                    is_empty: observe(memory).in_flight == 0,
                    has_successor: reader.moved_on().unwrap().is_some(),
                };
                let writer = self.tenant(key.from);
                let gone = self.book.drained(key, from, writer, seen).unwrap();
                self.drained.extend(gone.map(|_| key));
                self.carry_out(gone);
                self.free_if_done(key.from);
            }
            Ask::Attach { .. } | Ask::Resume { .. } | Ask::Observe { .. } => {
                panic!("nobody attaches here: {ask:?}")
            }
        }
    }

    fn carry_out(&mut self, deeds: impl IntoIterator<Item = Deed>) {
        for deed in deeds {
            match deed {
                Deed::Make { key, bytes } => {
                    let memory = ring::create(bytes.try_into().unwrap()).unwrap();
                    self.rings.insert(key, memory);
                    let mut told = self.book.held(key);
                    // The other end of a reader's stream goes to the writer with it.
                    let is_seated = self.nodes[&key.to].socket.is_some();
                    if self.spec.transport == Transport::Unix && is_seated {
                        told.pop();
                    }
                    self.carry_out(told);
                }
                Deed::Tell { key, whom } => {
                    self.tell_of_ring(whom, key);
                    if whom == key.to {
                        self.nodes[&whom].ringer.ring_if_asleep().unwrap();
                    }
                }
                Deed::LetGo(key) => {
                    self.rings.remove(&key);
                }
            }
        }
    }

    /// It left for good.
    fn left(&mut self, slot: Slot) {
        let rings = &self.rings;
        let is_empty = |key| observe(&rings[&key]).in_flight == 0;
        let gone = self.book.left(slot, is_empty);
        self.carry_out(gone);
        self.free_if_done(slot);
    }

    fn tenant(&self, slot: Slot) -> Tenant {
        match self.board.entry(slot).map(|entry| entry.state) {
            None => Tenant::Nobody,
            Some(State::Left) => Tenant::Left,
            Some(_) => Tenant::Here,
        }
    }

    fn sizes(&self) -> Sizes {
        let needs = |bytes: u32| {
            let capacity = ring::capacity_for(bytes.try_into().unwrap());
            capacity.try_into().unwrap()
        };
        match self.spec.transport {
            Transport::Ring => Sizes::new(&self.spec, needs),
            // One account for all the life of a stream.
            Transport::Unix => Sizes {
                control_bytes: ACCOUNT_BYTES,
                bulk_bytes: ACCOUNT_BYTES,
                ..Sizes::new(&self.spec, |_| 0)
            },
        }
    }

    fn free_if_done(&mut self, slot: Slot) {
        if self.tenant(slot) == Tenant::Left && self.book.is_free(slot) {
            self.board.free(slot);
            self.nodes.remove(&slot);
        }
    }
}

fn observe(memory: &OwnedFd) -> Accounting {
    let observer = Observer::map(memory.try_clone().unwrap()).unwrap();
    observer.accounting().unwrap()
}

fn serve(state: &Mutex<Inner>, woken: &OwnedFd) {
    let mut buffer = vec![0; SEAT_PACKET_BYTES_MAX];
    loop {
        let mut locked = state.lock().unwrap();
        if locked.over {
            return;
        }
        while packet::recv(woken.as_fd(), &mut buffer).is_ok_and(|packet| packet.is_some()) {}
        locked.serve_guests(&mut buffer);
        let slots: Vec<Slot> = locked.nodes.keys().copied().collect();
        for slot in slots {
            while let Some(ask) = locked.next(slot, &mut buffer) {
                locked.hear(slot, ask);
            }
        }
        let mut sockets: Vec<OwnedFd> = Vec::new();
        for socket in locked
            .nodes
            .values()
            .filter_map(|node| node.socket.as_ref())
        {
            sockets.push(socket.try_clone().unwrap());
        }
        for socket in locked
            .guests
            .newcomers
            .iter()
            .chain(&locked.guests.listener)
        {
            sockets.push(socket.try_clone().unwrap());
        }
        drop(locked);
        let mut waits = vec![PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
        waits.extend(
            sockets
                .iter()
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)),
        );
        poll(&mut waits, PollTimeout::NONE).unwrap();
    }
}

impl Inner {
    fn next(&mut self, slot: Slot, buffer: &mut [u8]) -> Option<Ask> {
        let node = self.nodes.get_mut(&slot)?;
        let socket = node.socket.as_ref()?;
        match packet::recv(socket.as_fd(), buffer) {
            Ok(Some((length, _))) => Some(postcard::from_bytes(&buffer[..length]).unwrap()),
            Ok(None) => {
                node.socket = None;
                None
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                None
            }
        }
    }
}

impl Drop for HandStem {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.over = true;
        }
        let _ = packet::send(self.wake.as_fd(), b"w", &[]);
        if let Some(thread) = self.thread.take() {
            let served = thread.join();
            assert!(
                served.is_ok() || std::thread::panicking(),
                "the stem failed"
            );
        }
    }
}
