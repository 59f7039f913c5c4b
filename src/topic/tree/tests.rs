//! The tree against a list of its entries, with digests of few bits, so that chains are long.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn found(tree: &PrefixTree<u8>, topic: &str) -> Vec<u8> {
    let mut found = Vec::new();
    tree.for_each_match(topic.as_bytes(), |value| found.push(*value));
    found
}

fn tree(entries: &[(&str, u8)]) -> PrefixTree<u8> {
    let mut tree = PrefixTree::new(0);
    for (prefix, value) in entries {
        assert!(tree.insert(prefix.as_bytes(), *value));
    }
    tree
}

#[test]
fn shorter_prefixes_come_first_and_the_empty_one_matches_everything() {
    let tree = tree(&[
        ("zeek/cluster/worker", 4),
        ("", 9),
        ("zeek/cluster/", 3),
        ("ze", 5),
        ("zeek/cluster/worker", 2),
        ("zeek/cluster/worker-1", 1),
    ]);
    assert_eq!(found(&tree, "zeek/cluster/worker-10"), [9, 5, 3, 2, 4, 1]);
    assert_eq!(found(&tree, "zeek/cluster/worke"), [9, 5, 3]);
    assert_eq!(found(&tree, "zeek"), [9, 5]);
    assert_eq!(found(&tree, ""), [9]);
}

#[test]
fn a_node_topic_does_not_reach_the_node_whose_name_begins_the_same() {
    let tree = tree(&[
        ("zeek/cluster/node/worker-1/", 1),
        ("zeek/cluster/node/worker-10/", 10),
        ("zeek.cluster.node.worker-1.", 2),
    ]);
    assert_eq!(found(&tree, "zeek/cluster/node/worker-1/"), [1]);
    assert_eq!(found(&tree, "zeek/cluster/node/worker-10/"), [10]);
    assert_eq!(found(&tree, "zeek.cluster.node.worker-1.x"), [2]);
}

#[test]
fn a_prefix_may_end_before_at_and_after_a_separator() {
    let tree = tree(&[("a", 1), ("a/", 2), ("a/.", 3), ("a//", 4), ("/", 5)]);
    assert_eq!(found(&tree, "a/."), [1, 2, 3]);
    assert_eq!(found(&tree, "a//b"), [1, 2, 4]);
    assert_eq!(found(&tree, "a."), [1]);
    assert_eq!(found(&tree, "/a"), [5]);
}

#[test]
fn a_value_stands_once_under_a_prefix_and_can_be_taken_once() {
    let mut tree = tree(&[("zeek/", 1)]);
    assert!(!tree.insert(b"zeek/", 1));
    assert!(!tree.remove(b"zeek/", &2));
    assert!(!tree.remove(b"zeek", &1));
    assert!(tree.remove(b"zeek/", &1));
    assert!(!tree.remove(b"zeek/", &1));
    assert!(found(&tree, "zeek/").is_empty());
}

#[test]
fn nodes_of_prefixes_that_are_gone_are_used_again() {
    let mut tree = tree(&[("keep/this", 1)]);
    let before = tree.nodes.len();
    for round in 0..100 {
        let prefix = format!("zeek/cluster/{round}");
        assert!(tree.insert(prefix.as_bytes(), 2));
        assert!(tree.remove(prefix.as_bytes(), &2));
    }
    assert_eq!(tree.nodes.len(), before + 3);
    assert_eq!(tree.nodes.len(), tree.free.len() + before);
    assert_eq!(found(&tree, "keep/this"), [1]);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, u8),
    Remove(Vec<u8>, u8),
    Ask(Vec<u8>),
}

/// Few letters, so that prefixes meet, and longer than a word of the digest now and then.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let letter = prop_oneof![4 => Just(b'a'), 1 => Just(b'b'), 2 => Just(b'/'), 1 => Just(b'.')];
    prop_oneof![vec(letter, 0..7), vec(Just(b'a'), 6..20)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (text(), 0u8..3).prop_map(|(prefix, value)| Step::Insert(prefix, value)),
        (text(), 0u8..3).prop_map(|(prefix, value)| Step::Remove(prefix, value)),
        text().prop_map(Step::Ask),
    ]
}

proptest! {
    #[test]
    fn a_tree_finds_what_a_scan_of_its_entries_finds(
        seed: u64,
        steps in vec(step(), 1..200),
    ) {
        let mut tree = PrefixTree::new(seed);
        let mut list: Vec<(Vec<u8>, u8)> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(prefix, value) => {
                    let entry = (prefix, value);
                    let is_new = !list.contains(&entry);
                    prop_assert_eq!(tree.insert(&entry.0, value), is_new);
                    if is_new {
                        list.push(entry);
                    }
                }
                Step::Remove(prefix, value) => {
                    let place = list.iter().position(|(p, v)| *p == prefix && *v == value);
                    prop_assert_eq!(tree.remove(&prefix, &value), place.is_some());
                    place.map(|place| list.swap_remove(place));
                }
                Step::Ask(topic) => {
                    let mut scanned: Vec<&(Vec<u8>, u8)> = list
                        .iter()
                        .filter(|(prefix, _)| topic.starts_with(prefix))
                        .collect();
                    scanned.sort();
                    let scanned: Vec<u8> = scanned.iter().map(|(_, value)| *value).collect();
                    let mut found = Vec::new();
                    tree.for_each_match(&topic, |value| found.push(*value));
                    prop_assert_eq!(found, scanned);
                }
            }
        }
        // Whatever was inserted can be taken out again, and nothing stays.
        for (prefix, value) in list {
            prop_assert!(tree.remove(&prefix, &value));
        }
        prop_assert_eq!(tree.nodes.len(), tree.free.len() + 1);
        prop_assert!(tree.children.is_empty());
    }
}
