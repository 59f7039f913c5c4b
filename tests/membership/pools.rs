//! Events for one of a pool.

use cluster::data::message::Event;
use cluster::fabric::FabricSpec;
use cluster::framework::WORKER_POOL;
use cluster::node::cluster::{Accepted, PublishError};
use cluster::sys::clock;

use super::diary::{Diary, PATIENCE, pair_with, sit, until_last};

/// Shows: a record of exactly the bytes that the layout allows goes to the member whose turn it is, or to
/// whom a key belongs; the bytes of that member's topic count, and one byte more is refused.
#[test]
fn the_largest_record_for_a_member_of_a_pool_counts_its_topic() {
    const MAX: usize = 4096;
    let spec = FabricSpec {
        record_bytes_max: u32::try_from(MAX).unwrap(),
        ..FabricSpec::default()
    };
    let (stem, manager, worker) = pair_with(spec);
    let (mut boss, mut first) = (sit(&stem, manager), sit(&stem, worker));
    boss.init().unwrap();
    first.init().unwrap();
    let mut diary = Diary::default();
    let until = clock::monotonic() + PATIENCE;
    while diary.lines.last().is_none_or(|line| line != "started") {
        assert!(clock::monotonic() < until, "{:?}", diary.lines);
        first.turn(&mut (), Some(clock::monotonic())).unwrap();
        boss.turn(&mut diary, Some(clock::monotonic())).unwrap();
    }
    let of = |name: &str, bytes: usize| Event::new(name, vec![vec![0_u8; bytes].into()]);
    let mut around = Vec::new();
    of("turn", 1000).encode(&mut around);
    let most = MAX - (around.len() - 1000) - boss.node_topic("worker-1").len();
    let (bytes, max) = (MAX + 1, MAX);
    let refused = Err(PublishError::TooLarge { bytes, max });
    let too_large = of("turn", most + 1);
    assert_eq!(boss.publish_rr(WORKER_POOL, "", &too_large), refused);
    assert_eq!(boss.publish_hrw(WORKER_POOL, "", &too_large), refused);
    let by_turn = boss.publish_rr(WORKER_POOL, "", &of("turn", most));
    let by_key = boss.publish_hrw(WORKER_POOL, "", &of("keys", most));
    assert_eq!(by_turn, Ok(Accepted::ByAll));
    assert_eq!(by_key, Ok(Accepted::ByAll));
    let mut diary = Diary::default();
    until_last(&mut first, &mut diary, "keys");
    assert!(diary.lines.contains(&"turn".to_owned()));
    assert_eq!(stem.accounts(manager, worker).too_large, 0);
}
