//! Who sits on the board: nodes from the moment they are known, programs as long as they are attached.

#![cfg(test)]

mod common;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use cluster::fabric::{Answer, Ask, Class, Refusal, Slot, VERSION};
use cluster::names::NodeName;
use cluster::node::observer::Snapshot;
use cluster::shm::board::{Board, BoardView, State};
use cluster::shm::ring::{Observer, Writer};
use nix::sys::signal::Signal;

use common::guests::Seat;
use common::{Cluster, Start, processes};

const SITE: &str = r#"(
    instances: { "here": (ip: "127.0.0.1"), "there": (ip: "192.0.2.1") },
    nodes: {
        "manager": (node_type: Manager, instance: "here"),
        "elsewhere": (node_type: Worker, instance: "there", manager: "manager"),
        "member": (node_type: Worker, instance: "here", manager: "manager", command: ["sleep", "1000"]),
        "plain": (instance: "here", command: ["sleep", "1000"]),
    },
    controller: (instance: "here"),
    restart: (floor: "300ms", quick_after: "1h"),
)"#;

fn start() -> Cluster {
    Start::with(SITE)
        .arg("--instance")
        .arg("here")
        .start_ready()
}

fn slot_of(seat: &Seat, name: &str) -> Option<Slot> {
    seat.board.find_by_name(&NodeName::parse(name).unwrap())
}

#[test]
fn whoever_attaches_stands_on_the_board_until_its_end() {
    let cluster = start();
    let witness = cluster.attach("witness");
    let tool = cluster.attach("tool");
    let entry = witness.board.entry(tool.slot).unwrap();
    assert_eq!(entry.name.as_str(), "tool");
    assert!(entry.attached && entry.state == State::Born);
    assert_eq!(entry.pid, std::process::id());
    assert_ne!(entry.id, witness.board.entry(witness.slot).unwrap().id);
    let change = witness.board.change();
    tool.guest.say(&Ask::Announce);
    witness.wait_board_state(tool.slot, State::Up);
    assert_ne!(witness.board.change(), change);
    let slot = tool.slot;
    drop(tool);
    witness.wait_board(slot, "its place is free", |entry| entry.is_none());
    let again = cluster.attach("tool");
    assert_ne!(again.slot, slot, "a place just freed comes last");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: members of the cluster have places, at every birth another id, and at rest the fleet's word.
#[test]
fn the_board_follows_the_lives_of_nodes() {
    let cluster = start();
    let witness = cluster.attach("witness");
    assert_eq!(slot_of(&witness, "plain"), None);
    let slot = slot_of(&witness, "member").unwrap();
    let first = witness.board.entry(slot).unwrap();
    let pid = cluster.node_pid("member").unwrap();
    assert_eq!(i32::try_from(first.pid), Ok(pid));
    assert!(!first.attached && first.state == State::Born);
    let environment = processes::environment(pid);
    assert_eq!(environment["CLUSTER_SEAT"], "3");
    assert_eq!(processes::descriptors(pid)[&3], "socket");
    let plain = cluster.node_pid("plain").unwrap();
    assert!(!processes::environment(plain).contains_key("CLUSTER_SEAT"));

    processes::signal(pid, Signal::SIGKILL);
    witness.wait_board_state(slot, State::Down);
    witness.wait_board(slot, "it is born again", |entry| {
        entry.is_some_and(|entry| {
            entry.state == State::Born
                && entry.incarnation > first.incarnation
                && entry.id != first.id
        })
    });
    cluster.ok(&["stop", "member"]);
    witness.wait_board_state(slot, State::Away);
    cluster.ok(&["start", "member"]);
    witness.wait_board_state(slot, State::Born);
    cluster.ok(&["destroy", "member"]);
    witness.wait_board(slot, "its place is free", |entry| entry.is_none());
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn a_name_belongs_to_one_and_whoever_has_none_is_given_one() {
    let cluster = start();
    let _tool = cluster.attach("tool");
    for taken in ["manager", "member", "plain", "elsewhere", "tool"] {
        let guest = cluster.guest();
        guest.ask_for(Some(taken));
        let name = NodeName::parse(taken).unwrap();
        assert_eq!(guest.refusal(), Refusal::NameTaken(name));
        assert!(guest.ended());
    }
    let nameless = || {
        let guest = cluster.guest();
        guest.ask_for(None);
        guest.sit()
    };
    // The names are those of the layout in force, not of the one that the first guest met.
    let another =
        r#""another": (node_type: Worker, instance: "there", manager: "manager"), "plain":"#;
    cluster.write_layout(&SITE.replacen("\"plain\":", another, 1));
    cluster.ok(&["deploy", cluster.layout_path().to_str().unwrap()]);
    common::wait_for("the stem knows the layout", common::PATIENCE, || {
        let guest = cluster.guest();
        guest.ask_for(Some("another"));
        matches!(
            guest.hear(),
            (
                Answer::Refused {
                    why: Refusal::NameTaken(_),
                    ..
                },
                _
            )
        )
        .then_some(())
    });
    let (one, other) = (nameless(), nameless());
    let pid = std::process::id().to_string();
    assert!(one.name.as_str().contains(&pid), "{}", one.name);
    assert_eq!(other.name.to_string(), format!("{}-2", one.name));
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn nonsense_and_another_version_are_answered_and_let_go() {
    let cluster = start();
    let manager = cluster.node_pid("manager");
    let garbage: [&[u8]; 4] = [b"\xff", b"GET / HTTP/1.0\r\n\r\n", &[0; 511], &[7; 60_000]];
    for bytes in garbage {
        let guest = cluster.guest();
        guest.say_bytes(bytes);
        assert!(matches!(guest.refusal(), Refusal::Confused(_)));
        assert!(guest.ended());
    }
    let theirs = VERSION + 1;
    let (version, slot, incarnation) = (theirs, Slot(0), Default::default());
    for ask in [
        Ask::Observe { version },
        Ask::Resume {
            version,
            slot,
            incarnation,
        },
        Ask::Attach {
            version,
            name: None,
            role: cluster::layout::spec::Role::None,
        },
    ] {
        let guest = cluster.guest();
        guest.say(&ask);
        let ours = VERSION;
        assert_eq!(guest.refusal(), Refusal::Version { ours, theirs });
        assert!(guest.ended());
    }
    let early = cluster.guest();
    early.say(&Ask::Announce);
    assert!(matches!(early.refusal(), Refusal::Confused(_)));
    let resumed = cluster.guest();
    let version = VERSION;
    resumed.say(&Ask::Resume {
        version,
        slot,
        incarnation,
    });
    assert_eq!(resumed.refusal(), Refusal::NoSuchSeat);

    let witness = cluster.attach("witness");
    let seated = cluster.attach("seated");
    seated.guest.say_bytes(b"\xff");
    assert!(matches!(seated.guest.refusal(), Refusal::Confused(_)));
    assert!(seated.guest.ended());
    witness.wait_board(seated.slot, "its place is free", |entry| entry.is_none());
    assert_eq!(cluster.node_pid("manager"), manager);
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn whoever_says_nothing_is_let_go() {
    let cluster = start();
    let silent = cluster.guest();
    assert!(silent.ended());
    cluster.stop_and_expect_nobody_left();
}

/// Shows: three hundred come at once; as many sit as there are places for guests, which is half of the
/// board, the others are told so, and when they have gone everything is as before.
#[test]
fn three_hundred_at_once_are_served_or_refused_and_leave_nothing_behind() {
    let cluster = start();
    let stem = cluster.stem_pid().unwrap();
    let keeper = cluster.attach("keeper");
    let processes = [cluster.pid(), stem];
    let mut after_the_first = None;
    for _ in 0..3 {
        let guests: Vec<_> = (0..300).map(|_| cluster.guest()).collect();
        for guest in &guests {
            let ask = Ask::Attach {
                version: VERSION,
                name: None,
                role: cluster::layout::spec::Role::Worker,
            };
            guest.try_to_say(&ask); // who was refused already is not there any more
        }
        let (mut seated, mut refused) = (Vec::new(), 0);
        for guest in guests {
            match guest.hear() {
                (Answer::Welcome { .. }, _) => seated.push(guest),
                (Answer::Refused { why, .. }, _) => {
                    assert!(
                        matches!(why, Refusal::BoardFull | Refusal::TooManyGuests),
                        "{why}"
                    );
                    refused += 1;
                }
                (other, _) => panic!("{other:?}"),
            }
        }
        let half = keeper.board.slots().count() / 2;
        assert_eq!(1 + seated.len(), half, "the keeper and these");
        assert_eq!(refused, 300 - seated.len());
        drop(seated);
        common::wait_for("everybody has left", common::PATIENCE, || {
            let attached = keeper.board.entries().filter(|(_, entry)| entry.attached);
            (attached.count() == 1).then_some(())
        });
        after_the_first.get_or_insert_with(|| processes.map(processes::descriptor_kinds));
    }
    for (pid, before) in processes.into_iter().zip(&after_the_first.unwrap()) {
        cluster.wait_no_more_descriptors(pid, before);
    }
    cluster.attach("one-more");
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a ring that its writer has spoiled is shown as such, hides no other, and goes with the writer.
#[test]
fn a_spoiled_ring_goes_with_its_writer_and_holds_up_nobody() {
    let cluster = start();
    let reader = cluster.attach("reader");
    for spoiled in [0, 128] {
        let mut writer = cluster.attach("writer");
        let key = writer.ring_to(reader.slot, 100);
        let memory = File::from(writer.rings[&key].try_clone().unwrap());
        memory.write_at(&[7; 8], spoiled).unwrap();
        let seen = Snapshot::take(&cluster.attach_socket(), common::PATIENCE).unwrap();
        let link = seen.links.iter().find(|link| link.from == writer.slot);
        assert!(link.unwrap().account.is_err());
        let slot = writer.slot;
        drop(writer);
        reader.wait_board(slot, "its place is free", |entry| entry.is_none());
    }
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn whoever_looks_sees_everything_and_can_write_nothing() {
    let cluster = start();
    let reader = cluster.attach("reader");
    let mut writer = cluster.attach("writer");
    let key = writer.ring_to(reader.slot, 100);
    writer.writer(key).try_push(&[b"record"]).unwrap();
    let (board, rings) = cluster.observe();
    assert!(Board::map(board.as_fd()).is_err());
    let view = BoardView::map(board.as_fd()).unwrap();
    assert_eq!(view.entry(writer.slot).unwrap().name.as_str(), "writer");
    assert_eq!(rings.keys().collect::<Vec<_>>(), [&key]);
    let copy = || rings[&key].try_clone().unwrap();
    assert!(Writer::map(copy()).is_err());
    let accounts = Observer::map(copy()).unwrap().accounting().unwrap();
    assert_eq!((accounts.accepted, accounts.in_flight), (1, 1));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a seat outlives the stem for whoever comes back, and for nobody else.
#[test]
fn a_seat_is_kept_for_whoever_comes_back_to_the_next_stem() {
    let cluster = start();
    let stays = cluster.attach("stays");
    let goes = cluster.attach("goes");
    let (slot, gone) = (stays.slot, goes.slot);
    let id = stays.board.entry(slot).unwrap().id;
    let member = slot_of(&stays, "member").unwrap();
    let incarnation = stays.board.entry(member).unwrap().incarnation;
    cluster.kill_stem();
    let stays = stays.resume(&cluster);
    assert_eq!(stays.board.entry(slot).unwrap().id, id);
    let impostor = cluster.guest();
    impostor.say(&Ask::Resume {
        version: VERSION,
        slot,
        incarnation: stays.incarnation,
    });
    assert_eq!(
        impostor.refusal(),
        Refusal::NoSuchSeat,
        "somebody sits there"
    );
    stays.wait_board(gone, "who does not come back has left", |entry| {
        entry.is_none()
    });
    assert!(goes.guest.ended());
    stays.wait_board(member, "the node is born again", |entry| {
        entry.is_some_and(|entry| entry.state == State::Born && entry.incarnation > incarnation)
    });
    cluster.stop_and_expect_nobody_left();
}

#[test]
fn the_socket_is_for_its_owner_and_goes_with_the_supervisor() {
    use std::os::unix::fs::PermissionsExt;
    let cluster = start();
    let mode = cluster.attach_socket().metadata().unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    // What a supervisor that was killed left behind is no obstacle.
    let cluster = cluster
        .kill_and_prepare_another()
        .arg("--instance")
        .arg("here")
        .start_ready();
    let seat = cluster.attach("tool");
    seat.guest.say(&Ask::Ring {
        to: Slot(4000),
        class: Class::Control,
        record_bytes: 1,
    });
    assert_eq!(seat.guest.refusal(), Refusal::NoSuchPeer);
    let patience = Duration::from_secs(5);
    let guest = seat.guest;
    cluster.stop_and_expect_nobody_left();
    assert!(guest.try_to_hear(patience).is_none());
}

/// Prints the first packet on its seat socket, and waits.
const SEATED: &str = r#"import os, signal, socket
seat = socket.socket(fileno=int(os.environ["CLUSTER_SEAT"]))
seat.setblocking(True)
print(seat.recv(65536).hex(), flush=True)
signal.pause()
"#;

/// Shows: a command with a role is welcomed at each birth, and told whether its last end was its fault.
#[test]
fn a_node_is_told_whether_it_died_of_its_own_fault() {
    let site = r#"(
        nodes: {"member": (node_type: Worker, command: ["/usr/bin/python3", "$DIR/seated.py"])},
        restart: (floor: "10ms", give_up: "off"),
    )"#;
    let start = Start::with(site);
    std::fs::write(start.directory().join("seated.py"), SEATED).unwrap();
    let cluster = start.start_ready();
    let welcomed = |births: usize| {
        let what = format!("{births} welcomes");
        let printed = cluster.wait_content("member/stdout.log", &what, |text| {
            text.lines().count() == births && text.ends_with('\n')
        });
        let hex = printed.lines().last().unwrap().as_bytes().chunks(2);
        let bytes: Vec<u8> = hex
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let welcome = postcard::from_bytes(&bytes).unwrap();
        let Answer::Welcome {
            name,
            incarnation,
            fault,
            ..
        } = welcome
        else {
            panic!("no welcome: {welcome:?}");
        };
        assert_eq!(name.as_str(), "member");
        (incarnation.0, fault)
    };
    assert_eq!(welcomed(1), (1, false));
    for (birth, signal, fault) in [
        (2, Signal::SIGKILL, false),
        (3, Signal::SIGSEGV, true),
        (4, Signal::SIGTERM, false),
        (5, Signal::SIGABRT, true),
    ] {
        let pid = cluster.wait_node("member", "runs", |node| node["pid"].is_i64())["pid"].clone();
        processes::signal(i32::try_from(pid.as_i64().unwrap()).unwrap(), signal);
        assert_eq!(welcomed(birth), (birth as u64, fault), "after {signal}");
    }
    cluster.ok(&["restart", "member"]);
    assert_eq!(welcomed(6), (6, false));
    cluster.stop_and_expect_nobody_left();
}

/// Shows: the socket is the group's that the layout names, a member of it may attach, and nobody else.
#[test]
fn members_of_the_socket_group_may_attach_and_nobody_else() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    if !common::places::is_root() {
        return; // only root can give a socket to a group that is not its own
    }
    let site = SITE.replacen("nodes:", "socket_group: 4243, nodes:", 1);
    let start = Start::with(&site).arg("--instance").arg("here");
    let open = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(start.directory(), open).unwrap();
    let cluster = start.start_ready();
    let facts = cluster.attach_socket().metadata().unwrap();
    assert_eq!((facts.gid(), facts.mode() & 0o777), (4243, 0o660));
    let attach = "import socket, sys
seat = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
seat.connect(sys.argv[1])
seat.send(bytes([2, int(sys.argv[2])]))
print(seat.recv(65536)[0])";
    let run_as = |group: &str| {
        let ids = ["--reuid", "4242", "--clear-groups", "--regid", group];
        let socket = cluster.attach_socket();
        let mut command = std::process::Command::new("setpriv");
        command
            .args(ids)
            .args(["/usr/bin/python3", "-c", attach])
            .arg(socket)
            .arg(VERSION.to_string());
        command.output().unwrap()
    };
    // The first answer to who looks is the board, the vocabulary's second.
    let member = run_as("4243");
    assert_eq!(String::from_utf8_lossy(&member.stdout), "1\n", "{member:?}");
    let stranger = run_as("4244");
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("PermissionError"));
    cluster.stop_and_expect_nobody_left();
}
