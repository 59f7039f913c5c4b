//! Programs that the layout does not know: they attach, outlive stems, or lose their place.

use std::time::Duration;

use cluster::fabric::{Class, Refusal};
use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::node::endpoint::{Delivery, Endpoint, SeatError};
use cluster::node::observer::{Account, Snapshot};
use cluster::shm::ring::DropReason;
use cluster::sys::clock;

use super::stem::HandStem;
use super::{eventually, spec, take, take_now};

fn name(text: &str) -> Option<NodeName> {
    Some(NodeName::parse(text).unwrap())
}

fn an_attached_program_is_a_member_like_any_and_its_name_is_its_own() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("attach.sock");
    let stem = HandStem::new(spec());
    stem.listen(&path);
    let manager = stem.add("manager", Role::Manager);
    let mut manager = stem.endpoint(manager, &["x"]);
    let mut probe = Endpoint::attach(&path, name("probe"), Role::None).unwrap();
    probe.subscribe("y", Delivery::AtLeastOnce).unwrap();
    probe.announce();
    assert!(probe.publish("x", b"1") && manager.publish("y", b"2"));
    assert_eq!(take(&mut manager, 1)[0].1, "1");
    assert_eq!(take(&mut probe, 1)[0].1, "2");
    let taken = Endpoint::attach(&path, name("manager"), Role::None);
    let Err(SeatError::Refused(Refusal::NameTaken(_))) = taken else {
        panic!("{taken:?}");
    };
    let nowhere = Endpoint::attach(&place.path().join("missing"), None, Role::None);
    assert!(matches!(nowhere, Err(SeatError::System(_))));
}

fn an_attached_program_goes_on_with_the_next_stem() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("attach.sock");
    let stem = HandStem::new(spec());
    stem.listen(&path);
    let manager = stem.add("manager", Role::Manager);
    let mut manager = stem.endpoint(manager, &["x"]);
    let mut probe = Endpoint::attach(&path, name("probe"), Role::None).unwrap();
    probe.announce();
    assert!(probe.publish("x", b"1"));
    stem.is_revived();
    // Nothing of this needs a stem.
    assert!(probe.publish("x", b"2"));
    assert_eq!(take(&mut manager, 2).len(), 2);
    // This does: it needs a larger ring. (The manager is as a node that was born anew.)
    let slot = manager.identity().slot;
    drop(manager);
    let mut manager = stem.endpoint(slot, &["x"]);
    assert!(probe.publish("x", &[b'3'; 10_000]));
    let mut came = Vec::new();
    eventually("it comes, by a stream when its writer looks", || {
        probe.wake().unwrap();
        came.append(&mut take_now(&mut manager));
        !came.is_empty()
    });
    assert_eq!(came[0].1.len(), 10_000);
    assert!(!probe.is_lost());
}

fn who_lost_its_place_is_told_that_nothing_goes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("attach.sock");
    let stem = HandStem::new(spec());
    stem.listen(&path);
    let manager = stem.add("manager", Role::Manager);
    let mut manager = stem.endpoint(manager, &["x"]);
    let mut probe = Endpoint::attach(&path, name("probe"), Role::None).unwrap();
    assert!(probe.publish("x", b"1"));
    stem.leaves(probe.identity().slot);
    assert!(!probe.publish("x", b"2") && probe.is_lost());
    assert_eq!(take(&mut manager, 1)[0].1, "1");
    assert!(take_now(&mut manager).is_empty());
    // The stem that does not know it any more says so, too.
    let mut probe = Endpoint::attach(&path, name("probe-2"), Role::None).unwrap();
    stem.leaves(probe.identity().slot);
    stem.is_revived();
    let until = super::until();
    while !probe.is_lost() {
        probe.wait(Some(until)).unwrap();
        assert!(clock::monotonic() < until);
    }
}

#[test]
fn an_observer_sees_what_became_of_every_record() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("attach.sock");
    let stem = HandStem::new(spec());
    stem.listen(&path);
    let (from, to) = (
        stem.add("worker-1", Role::Worker),
        stem.add("manager", Role::Manager),
    );
    let mut worker = stem.endpoint(from, &[]);
    let mut manager = stem.endpoint(to, &["x", "zeek/"]);
    let dropped = (0..100).filter(|_| !worker.publish("x", &[0; 100])).count();
    assert!(worker.publish("zeek/cluster/x", b"") && dropped > 0);
    let dropped = u64::try_from(dropped).unwrap();
    manager.wake().unwrap();
    let handled = u64::try_from(manager.drain(10, |_, _| ())).unwrap();
    let look = || {
        let seen = Snapshot::take(&path, Duration::from_secs(10)).unwrap();
        let [from, to] = [from, to].map(|slot| seen.name(slot).unwrap().to_string());
        assert_eq!((from.as_str(), to.as_str()), ("worker-1", "manager"));
        let classes: Vec<Class> = seen.links.iter().map(|link| link.class).collect();
        assert_eq!(classes, [Class::Control, Class::Bulk]);
        seen.by_reader()[&seen.links[0].to].unwrap()
    };
    let full = |account: Account| account.dropped[0];
    assert_eq!(DropReason::ALL[0], DropReason::Full);
    let link = look();
    assert_eq!(
        (link.published(), link.delivered, link.dead_letters),
        (101, handled, 0)
    );
    assert_eq!(link.in_flight, 101 - dropped - handled);
    assert_eq!(full(link), dropped);
    assert!(link.in_flight_bytes > 100 * link.in_flight);
    // The newer ring has the drops of the older one, and they are counted once.
    assert!(worker.publish("x", &[b'l'; 10_000]));
    take(&mut manager, usize::try_from(link.in_flight).unwrap() + 1);
    eventually("the old ring goes", || stem.rings().len() == 2);
    let link = look();
    assert_eq!((full(link), link.in_flight), (dropped, 0));
}

super::over_both! {
    an_attached_program_is_a_member_like_any_and_its_name_is_its_own
    an_attached_program_goes_on_with_the_next_stem
    who_lost_its_place_is_told_that_nothing_goes
}
