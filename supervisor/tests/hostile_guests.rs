//! Programs at `attach.sock`, and nodes on their seats, that mean harm.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "a test owns its clock")]

mod common;

use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use cluster::fabric::Refusal;
use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::node::endpoint::{Delivery, Endpoint};
use cluster::sys::packet;
use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use common::{Cluster, Start};

const SITE: &str = r#"(
    nodes: { "manager": (node_type: Manager), "worker": (node_type: Worker) },
)"#;

/// The last close of such a descriptor takes as long as nobody reads at the other end, up to this.
const LINGER: Duration = Duration::from_secs(30);

fn start() -> Cluster {
    Start::with(SITE).start_ready()
}

/// A connection whose close blocks, and the end at which nobody reads.
fn lingering() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    while ours.write(&[7; 65536]).is_ok() {}
    let long = linger {
        l_onoff: 1,
        l_linger: i32::try_from(LINGER.as_secs()).unwrap(),
    };
    setsockopt(&ours, sockopt::Linger, &long).unwrap();
    (ours, theirs)
}

/// Can this kernel refuse descriptors? Else nothing here helps, as docs/fabric.md says.
fn kernel_refuses_descriptors() -> bool {
    let (ours, _theirs) = packet::pair().unwrap();
    let refuses = packet::refuse_descriptors(ours.as_fd()).unwrap();
    if !refuses {
        eprintln!("NOTHING SHOWN: only Linux 6.16 and later can refuse descriptors");
    }
    refuses
}

/// Shows: a guest cannot hand the stem a descriptor whose last close would block it, neither before the
/// stem has taken it in nor afterwards.
#[test]
fn a_descriptor_that_a_guest_sends_along_does_not_hold_up_the_stem() {
    if !kernel_refuses_descriptors() {
        return;
    }
    let cluster = start();
    let begun = Instant::now();
    let seated = cluster.attach("seated");
    for guest in [&cluster.guest(), &seated.guest] {
        let (trap, _other_end) = lingering();
        let refused = packet::send(guest.socket(), b"x", &[trap.as_fd()]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        // Not by us either: that would take as long.
        setsockopt(
            &trap,
            sockopt::Linger,
            &linger {
                l_onoff: 0,
                l_linger: 0,
            },
        )
        .unwrap();
    }
    cluster.attach("next");
    assert!(begun.elapsed() < LINGER);
    cluster.stop_and_expect_nobody_left();
}

/// Tries to send a descriptor along on its seat socket, says what came of it, and waits.
const SENDS_DESCRIPTOR: &str = r#"import array, os, signal, socket
seat = socket.socket(fileno=int(os.environ["CLUSTER_SEAT"]))
rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1]))]
try:
    seat.sendmsg([b"x"], rights)
    print("taken", flush=True)
except PermissionError:
    print("refused", flush=True)
signal.pause()
"#;

#[test]
fn a_descriptor_that_a_node_sends_along_on_its_seat_is_refused() {
    if !kernel_refuses_descriptors() {
        return;
    }
    let site = r#"(
        nodes: {"member": (node_type: Worker, command: ["/usr/bin/python3", "$DIR/sends.py"])},
    )"#;
    let start = Start::with(site);
    std::fs::write(start.directory().join("sends.py"), SENDS_DESCRIPTOR).unwrap();
    let cluster = start.start_ready();
    cluster.wait_content("member/stdout.log", "it has tried", |text| {
        assert!(!text.contains("taken"));
        text == "refused\n"
    });
    cluster.stop_and_expect_nobody_left();
}

/// The largest rings there are: two of them are all that a guest may have.
const LARGE: &str = r#"(
    nodes: { "manager": (node_type: Manager), "worker": (node_type: Worker), "other": (node_type: Worker) },
    fabric: (bulk: "1GiB"),
)"#;

/// Shows: a guest that asks for more rings than it may have is told why, and keeps those that it has; a
/// node of the layout is not bound, and another guest has a share of its own.
#[test]
fn a_guest_has_no_more_memory_for_rings_than_its_share() {
    let cluster = Start::with(LARGE).start_ready();
    let mut greedy = cluster.attach("greedy");
    let slots = ["manager", "worker", "other"].map(|name| {
        let name = NodeName::parse(name).unwrap();
        greedy.board.find_by_name(&name).unwrap()
    });
    let [first, second, third] = slots;
    let key = greedy.ring_to(first, 1);
    greedy.ring_to(second, 1);
    for _ in 0..3 {
        greedy.ask_ring(third, 1);
        assert_eq!(greedy.guest.refusal(), Refusal::TooMuchMemory);
    }
    assert_eq!(
        greedy.ring_to(first, 1),
        key,
        "what it has it is told of again"
    );
    greedy.ask_ring(greedy.slot, 1);
    assert_eq!(greedy.guest.refusal(), Refusal::ToItself);
    let mut modest = cluster.attach("modest");
    modest.ring_to(third, 1);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a record for whose ring there is no share left is dropped, counted, and said to whoever
/// publishes; those that have a ring get theirs.
#[test]
fn a_publisher_whose_share_is_spent_is_told_and_its_drops_are_counted() {
    let cluster = Start::with(LARGE).start_ready();
    let attach = |name: &str| {
        let name = Some(NodeName::parse(name).unwrap());
        Endpoint::attach(&cluster.attach_socket(), name, Role::None).unwrap()
    };
    let mut readers = ["a", "b", "c"].map(|name| {
        let mut reader = attach(name);
        reader.subscribe("t/", Delivery::AtLeastOnce).unwrap();
        reader.announce();
        reader
    });
    let mut publisher = attach("publisher");
    let reach = common::wait_for("the readers are up", common::PATIENCE, || {
        let reach = publisher.outbox().reach(b"t/x", b"record");
        (reach.wanted == 3).then_some(reach)
    });
    assert_eq!(reach.taken, 2);
    assert!(!publisher.publish("t/x", b"again"));
    let stats = cluster.ok(&["stats", "--json"]);
    assert!(stats.contains("no_ring"), "{stats}");
    let taken = readers.each_mut().map(|reader| {
        reader.wake().unwrap(); // which tells it of its ring
        reader.drain(64, |_, _| ())
    });
    assert!(
        taken.iter().filter(|taken| **taken >= 2).count() == 2,
        "{taken:?}"
    );
    drop((readers, publisher));
    cluster.stop_and_expect_nobody_left();
}
