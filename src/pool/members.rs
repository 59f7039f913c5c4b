//! One pool: its members, which of them are alive, and the two ways to choose one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::rendezvous::{choose, fnv1a32};
use super::{HashKey, KeyError, PoolSpec};
use crate::names::NodeName;

/// So many keys have a cursor of their own for the round robin; those that come later share one, which
/// spreads them no worse and costs nothing but their being independent of one another.
pub const CURSORS_MAX: usize = 4096;

/// A member of a pool; the seeds' `PoolNode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolNode {
    /// `name`.
    pub name: NodeName,
    /// `alias`: the name, a dot, and the first number for which no other member has the same site id.
    pub alias: String,
    /// `site_id`: the digest of the alias.
    pub site_id: u32,
    /// `alive`: it is connected, or it is this node.
    pub alive: bool,
    /// `topic`: reaches this member alone.
    pub topic: String,
    /// Whether keys are hashed to it: it is connected. This node never is, to itself.
    is_site: bool,
}

/// A pool of nodes; the seeds' `Pool`.
///
/// # This node as a member of its own pool
/// As in Zeek, it takes part in the round robin, and no key is hashed to it. [`Pool::rr_topic`] may
/// therefore return this node's own topic: nothing that is published comes back to its publisher, so the
/// caller hands such a message to its own subscribers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    spec: PoolSpec,
    /// In the order in which they were added, which is the same on all nodes.
    members: Vec<PoolNode>,
    by_name: BTreeMap<NodeName, usize>,
    by_site: BTreeMap<u32, usize>,
    /// Where the round robin goes on, for each key.
    cursors: BTreeMap<Box<[u8]>, usize>,
    /// Where it goes on for the keys that came after [`CURSORS_MAX`] others.
    shared_cursor: usize,
}

impl Pool {
    /// A pool without members.
    #[must_use]
    pub fn new(spec: PoolSpec) -> Self {
        Self {
            spec,
            members: Vec::new(),
            by_name: BTreeMap::new(),
            by_site: BTreeMap::new(),
            cursors: BTreeMap::new(),
            shared_cursor: 0,
        }
    }

    /// What it was to be.
    #[must_use]
    pub fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    /// Its members, alive or not, in the order of the round robin.
    #[must_use]
    pub fn members(&self) -> &[PoolNode] {
        &self.members
    }

    /// Its member of this name.
    #[must_use]
    pub fn member(&self, name: &NodeName) -> Option<&PoolNode> {
        self.members.get(*self.by_name.get(name)?)
    }

    /// `alive_count`: the members that are alive, this node among them if it is one.
    #[must_use]
    pub fn alive_count(&self) -> usize {
        self.members.iter().filter(|member| member.alive).count()
    }

    /// Adds a member, whose own topic is `topic`. `is_local`: it is this node, so it is alive. Does
    /// nothing if it is a member already.
    pub fn add(&mut self, name: &NodeName, topic: String, is_local: bool) {
        if self.member(name).is_some() {
            return;
        }
        let at = self.members.len();
        // There are fewer members than numbers, and each takes one site id.
        for number in 0u32.. {
            let alias = format!("{name}.{number}");
            let site_id = fnv1a32(alias.as_bytes());
            if let Entry::Vacant(site) = self.by_site.entry(site_id) {
                site.insert(at);
                self.by_name.insert(name.clone(), at);
                self.members.push(PoolNode {
                    name: name.clone(),
                    alias,
                    site_id,
                    alive: is_local,
                    topic,
                    is_site: false,
                });
                return;
            }
        }
    }

    /// A node has come up. Does nothing if it is no member.
    pub fn node_up(&mut self, name: &NodeName) {
        self.mark(name, true);
    }

    /// A node has gone down. Does nothing if it is no member.
    pub fn node_down(&mut self, name: &NodeName) {
        self.mark(name, false);
    }

    fn mark(&mut self, name: &NodeName, is_up: bool) {
        let at = self.by_name.get(name);
        if let Some(member) = at.and_then(|at| self.members.get_mut(*at)) {
            member.alive = is_up;
            member.is_site = is_up;
        }
    }

    /// `hrw_topic`: the topic of the member that `key` belongs to, or `None` if none is connected.
    ///
    /// # Errors
    /// [`KeyError`] if the key has no digest that is the same everywhere.
    pub fn hrw_topic(&self, key: &HashKey<'_>) -> Result<Option<&str>, KeyError> {
        let digest = key.digest()?;
        let sites = self.members.iter().filter(|member| member.is_site);
        let chosen = choose(digest, sites.map(|site| site.site_id));
        let chosen = chosen.and_then(|id| self.members.get(*self.by_site.get(&id)?));
        Ok(chosen.map(|site| site.topic.as_str()))
    }

    /// `rr_topic`: the topic of the next member that is alive, or `None` if none is. Keys have cursors of
    /// their own; a member that is not alive is passed over and keeps its place.
    ///
    /// It may be this node's own topic: see [`Pool`].
    pub fn rr_topic(&mut self, key: &[u8]) -> Option<&str> {
        let chosen = self.next_turn(key, |member| member.alive)?;
        self.spend_turn(key, chosen)
    }

    /// What [`Pool::rr_topic`] will return, without a turn being spent.
    #[must_use]
    pub fn next_rr_topic(&self, key: &[u8]) -> Option<&str> {
        let chosen = self.next_turn(key, |member| member.alive)?;
        self.members.get(chosen).map(|member| member.topic.as_str())
    }

    /// As [`Pool::rr_topic`], but if no member is alive, the topic of the next one all the same: for
    /// records that wait for its successor. `None`: the pool has no members.
    pub fn rr_topic_of_any(&mut self, key: &[u8]) -> Option<&str> {
        let alive = self.next_turn(key, |member| member.alive);
        let chosen = alive.or_else(|| self.next_turn(key, |_| true))?;
        self.spend_turn(key, chosen)
    }

    /// The place of the next member that will do.
    fn next_turn(&self, key: &[u8], will_do: impl Fn(&PoolNode) -> bool) -> Option<usize> {
        let start = match self.cursors.get(key) {
            Some(cursor) => *cursor,
            None if self.cursors.len() >= CURSORS_MAX => self.shared_cursor,
            None => 0,
        };
        let count = self.members.len();
        let mut turn = (start..count).chain(0..start.min(count));
        turn.find(|at| self.members.get(*at).is_some_and(&will_do))
    }

    fn spend_turn(&mut self, key: &[u8], chosen: usize) -> Option<&str> {
        *self.cursor(key) = (chosen + 1) % self.members.len().max(1);
        self.members.get(chosen).map(|member| member.topic.as_str())
    }

    fn cursor(&mut self, key: &[u8]) -> &mut usize {
        if !self.cursors.contains_key(key) {
            if self.cursors.len() >= CURSORS_MAX {
                return &mut self.shared_cursor;
            }
            self.cursors.insert(key.into(), 0);
        }
        // It was there, or it is now.
        self.cursors.get_mut(key).unwrap_or(&mut self.shared_cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::spec::Role;
    use proptest::prelude::*;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    /// A pool in which everybody is connected.
    fn pool(names: &[&str]) -> Pool {
        let mut pool = Pool::new(PoolSpec {
            topic: "pool".to_owned(),
            node_type: Role::Proxy,
            max_nodes: None,
            exclusive: false,
        });
        for text in names {
            pool.add(&name(text), (*text).to_owned(), false);
            pool.node_up(&name(text));
        }
        pool
    }

    fn hrw<'a>(pool: &'a Pool, key: &HashKey<'_>) -> Option<&'a str> {
        pool.hrw_topic(key).unwrap()
    }

    #[test]
    fn text_and_count_keys_go_where_zeeks_own_tests_say() {
        let workers = pool(&["worker-1", "worker-2"]);
        let chosen: Vec<&str> = (0..10)
            .map(|key: u8| hrw(&workers, &HashKey::from(key.to_string().as_str())).unwrap())
            .map(|topic| &topic[7..])
            .collect();
        assert_eq!(chosen.concat(), "2121121211");
        let proxies = pool(&["proxy-1", "proxy-2"]);
        let chosen: Vec<&str> = [0, 1, 2, 3, 13, 37, 42, 101]
            .map(|key| hrw(&proxies, &HashKey::Count(key)).unwrap())
            .map(|topic| &topic[6..])
            .to_vec();
        assert_eq!(chosen.concat(), "21221111");
    }

    #[test]
    fn keys_of_a_node_that_is_down_go_to_their_second_choice() {
        let mut pool = pool(&["proxy-1", "proxy-2", "proxy-3"]);
        let keys = ["alpha", "beta", "gamma", "delta", "epsilon"];
        let chosen = |pool: &Pool| {
            let topics = keys.map(|key| hrw(pool, &HashKey::from(key)).unwrap()[6..].to_owned());
            topics.concat()
        };
        assert_eq!(chosen(&pool), "12333");
        pool.node_down(&name("proxy-3"));
        assert_eq!(chosen(&pool), "12121");
        pool.node_up(&name("proxy-3"));
        assert_eq!(chosen(&pool), "12333");
    }

    #[test]
    fn a_member_that_leaves_moves_its_own_keys_and_no_others() {
        let mut pool = pool(&["proxy-1", "proxy-2", "proxy-3"]);
        let chosen = |pool: &Pool| -> Vec<String> {
            let keys = (0..100_000).map(|key| format!("key-{key}"));
            keys.map(|key| hrw(pool, &HashKey::from(key.as_str())).unwrap().to_owned())
                .collect()
        };
        let before = chosen(&pool);
        let count = |topic: &str| before.iter().filter(|chosen| *chosen == topic).count();
        let counts = ["proxy-1", "proxy-2", "proxy-3"].map(count);
        assert_eq!(counts, [33_694, 33_060, 33_246]);
        pool.node_down(&name("proxy-2"));
        for (before, after) in before.iter().zip(chosen(&pool)) {
            assert_eq!(*before != after, before == "proxy-2");
        }
    }

    #[test]
    fn nobody_is_chosen_where_nobody_is_alive() {
        let mut pool = pool(&["proxy-1"]);
        pool.node_down(&name("proxy-1"));
        assert_eq!(hrw(&pool, &HashKey::from("alpha")), None);
        assert_eq!(pool.rr_topic(b""), None);
        assert_eq!(pool.alive_count(), 0);
        assert_eq!(Pool::new(pool.spec().clone()).rr_topic(b""), None);
    }

    #[test]
    fn the_round_robin_goes_on_behind_whom_it_chose_and_each_key_for_itself() {
        let mut pool = pool(&["a", "b", "c"]);
        let mut next = |key: &[u8]| pool.rr_topic(key).unwrap().to_owned();
        let chosen: String = (0..4).map(|_| next(b"one")).collect();
        assert_eq!(chosen, "abca");
        assert_eq!(next(b"two"), "a");
        assert_eq!(next(b"one"), "b");
    }

    #[test]
    fn to_look_whose_turn_it_is_spends_none() {
        let mut pool = pool(&["a", "b", "c"]);
        pool.node_down(&name("b"));
        for expected in ["a", "c", "a"] {
            assert_eq!(pool.next_rr_topic(b"key"), Some(expected));
            assert_eq!(pool.next_rr_topic(b"key"), Some(expected));
            assert_eq!(pool.rr_topic(b"key"), Some(expected));
        }
        pool.node_down(&name("a"));
        pool.node_down(&name("c"));
        assert_eq!(pool.next_rr_topic(b"key"), None);
    }

    #[test]
    fn a_dead_member_is_passed_over_and_keeps_its_place() {
        let mut pool = pool(&["a", "b", "c"]);
        pool.node_down(&name("b"));
        let next = |pool: &mut Pool| pool.rr_topic(b"").unwrap().to_owned();
        assert_eq!(next(&mut pool), "a");
        assert_eq!(next(&mut pool), "c");
        assert_eq!(next(&mut pool), "a");
        pool.node_up(&name("b"));
        assert_eq!(next(&mut pool), "b");
    }

    #[test]
    fn this_node_takes_part_in_the_round_robin_and_not_in_the_hashing() {
        let mut pool = pool(&["a"]);
        pool.add(&name("here"), "here".to_owned(), true);
        assert_eq!(pool.alive_count(), 2);
        let chosen: Vec<String> = (0..2)
            .map(|_| pool.rr_topic(b"").unwrap().to_owned())
            .collect();
        assert_eq!(chosen, ["a", "here"]);
        for key in 0..100 {
            assert_eq!(hrw(&pool, &HashKey::Count(key)), Some("a"));
        }
    }

    #[test]
    fn a_member_whose_site_id_is_taken_gets_another_alias() {
        // The digests of "vuoidi.0" and "xvkxur.0" are equal.
        let pool = pool(&["vuoidi", "xvkxur"]);
        let aliases: Vec<&str> = pool.members().iter().map(|m| m.alias.as_str()).collect();
        assert_eq!(aliases, ["vuoidi.0", "xvkxur.1"]);
        assert_eq!(fnv1a32(b"vuoidi.0"), fnv1a32(b"xvkxur.0"));
    }

    #[test]
    fn a_node_is_a_member_once_and_others_are_ignored() {
        let mut pool = pool(&["a", "a"]);
        assert_eq!(pool.members().len(), 1);
        let before = pool.clone();
        pool.node_up(&name("b"));
        pool.node_down(&name("b"));
        pool.node_up(&name("a"));
        assert_eq!(pool, before);
    }

    #[test]
    fn keys_beyond_the_bound_share_a_cursor() {
        let mut pool = pool(&["a", "b"]);
        for key in 0..CURSORS_MAX {
            assert_eq!(pool.rr_topic(&key.to_le_bytes()), Some("a"));
        }
        assert_eq!(pool.rr_topic(b"late"), Some("a"));
        assert_eq!(pool.rr_topic(b"later"), Some("b"));
        assert_eq!(pool.cursors.len(), CURSORS_MAX);
        assert_eq!(pool.rr_topic(&0usize.to_le_bytes()), Some("b"));
    }

    proptest! {
        #[test]
        fn one_round_visits_everybody_who_is_alive_once(up in proptest::collection::vec(any::<bool>(), 1..9)) {
            let names: Vec<String> = (0..up.len()).map(|n| format!("n{n}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut pool = pool(&names);
            for (text, _) in names.iter().zip(&up).filter(|(_, up)| !**up) {
                pool.node_down(&name(text));
            }
            let alive: Vec<&str> = names.iter().zip(&up).filter(|(_, up)| **up).map(|(n, _)| *n).collect();
            for _ in 0..2 {
                for expected in &alive {
                    prop_assert_eq!(pool.rr_topic(b"").unwrap(), *expected);
                }
            }
            prop_assert_eq!(pool.alive_count(), alive.len());
        }
    }
}
