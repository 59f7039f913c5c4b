//! A node of the exchange: publishes, receives, remembers.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use cluster::fabric::Wait;
use cluster::node::endpoint::{Delivery, Endpoint, Outbox, Record, SeatError, TURN_RECORDS};

use super::marks::{Complaint, Marks, NUMBERS_MAX, Phase};
use super::records::{self, NODES, Plan};

/// Names the node's place and where its marks are. A test program that finds it in its environment is a
/// node.
pub const VARIABLE: &str = "EXCHANGE_NODE";

/// Records that are published in a row.
const BURST: usize = 64;

/// One in so many records that are received is answered from within its handler.
const ANSWERED: u64 = 16;

/// So long a node waits when nothing is to be had and some ring was full.
const BREATH: Duration = Duration::from_micros(200);

/// So long when it publishes no more.
const QUIET: Duration = Duration::from_millis(50);

/// Lives as a node, if this process is one; until it is killed, or told to leave. False: it is none.
pub fn live() -> bool {
    let Ok(words) = std::env::var(VARIABLE) else {
        return false;
    };
    let (place, path) = words.split_once(' ').unwrap();
    let place: usize = place.parse().unwrap();
    let marks = Marks::open(Path::new(path));
    marks.born();
    let mut endpoint = match Endpoint::from_environment() {
        Ok(endpoint) => endpoint,
        // The stem died; so do we.
        Err(SeatError::NoAnswer) => return true,
        Err(error) => panic!("{error:?}"),
    };
    if place % 2 == 1 {
        endpoint.wait_as(Wait::Spin(Duration::from_micros(20)));
    }
    for topic in records::topics(place) {
        endpoint.subscribe(topic, Delivery::AtLeastOnce).unwrap();
    }
    endpoint.announce();
    let number = std::env::var("NOTIFY_FD").unwrap();
    let notice = OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{number}"));
    notice.unwrap().write_all(b"\n").unwrap();
    marks.seated();
    let node = Node {
        place,
        bytes: Vec::new(),
        scratch: Vec::new(),
        last: [[0; 2]; NODES],
        is_first_life: marks.births() == 1,
        marks,
    };
    node.exchange(&mut endpoint)
}

struct Node {
    place: usize,
    marks: Marks,
    bytes: Vec<u8>,
    scratch: Vec<u8>,
    /// The number behind the last that came in this life, by sender and class.
    last: [[u64; 2]; NODES],
    is_first_life: bool,
}

impl Node {
    fn exchange(mut self, endpoint: &mut Endpoint) -> ! {
        loop {
            let publishes = self.marks.is_in(Phase::Exchange);
            if self.marks.is_in(Phase::Rest) {
                self.marks.be_quiet();
            }
            let all_went = publishes && self.burst(endpoint.outbox());
            let taken = endpoint.drain(4 * BURST, |outbox, record| {
                let number = self.receive(record);
                if number.is_multiple_of(ANSWERED) && publishes {
                    self.publish(outbox);
                }
            });
            if taken == 0 && !all_went {
                let breath = if publishes { BREATH } else { QUIET };
                endpoint.wait(Some(Instant::now() + breath)).unwrap();
            }
        }
    }

    /// Publishes some records, half of the time as a batch. False: one of them was dropped.
    fn burst(&mut self, outbox: &mut Outbox) -> bool {
        let all = |node: &mut Self, outbox: &mut Outbox| (0..BURST).all(|_| node.publish(outbox));
        if self.marks.attempts().is_multiple_of(2) {
            outbox.batch(|outbox| all(self, outbox))
        } else {
            all(self, outbox)
        }
    }

    fn publish(&mut self, outbox: &mut Outbox) -> bool {
        assert!(self.marks.attempts() < NUMBERS_MAX, "the marks are full");
        let number = self.marks.begin();
        let plan = Plan::of(self.place, number);
        records::write(self.place, number, plan.length, &mut self.bytes);
        let accepted = outbox.publish(plan.topic().as_bytes(), &self.bytes);
        self.marks.set_fate(number, accepted);
        accepted
    }

    /// Checks a record against all that came before it, and notes it. Gives its number.
    fn receive(&mut self, record: &Record<'_>) -> u64 {
        let Some((sender, number)) = records::read(record.payload, &mut self.scratch) else {
            self.marks
                .complain(Complaint::Torn, NODES, record.receipt.number, 0);
            return 1;
        };
        let plan = Plan::of(sender, number);
        let complain = |what, before| self.marks.complain(what, sender, number, before);
        if !plan.is_for(sender, self.place) || record.topic != plan.topic().as_bytes() {
            complain(Complaint::Astray, 0);
        }
        let last = &mut self.last[sender][usize::from(plan.class == cluster::fabric::Class::Bulk)];
        if number < *last {
            complain(Complaint::Disordered, *last);
        }
        *last = number + 1;
        if self.marks.is_received(sender, number) {
            let repeats = self.marks.repeat();
            if self.is_first_life {
                complain(Complaint::Repeated, 0);
            } else if repeats > TURN_RECORDS as u64 {
                complain(Complaint::RepeatedTooOften, repeats);
            }
        } else {
            let behind = self.marks.behind_last(sender, plan.class);
            if number < behind {
                complain(Complaint::Disordered, behind);
            }
            self.marks.receive(sender, plan.class, number);
        }
        number
    }
}
