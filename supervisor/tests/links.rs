//! Links that a node's user puts in the way of the supervisor, which is root and must not follow them.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::{Cluster, Start, places, wait_for};
use nix::sys::signal::Signal;

/// A node of nobody's that exchanges the directory of its output file for a link to root's treasury
/// once it is told to, and goes on talking.
const SITE: &str = r#"Layout(
    nodes: {
        "thief": (
            command: ["sh", "-c", "
                until [ -e $DIR/now ]; do echo waiting; sleep 0.05; done
                if [ ! -h logs ]; then mv logs mine; ln -s $DIR/treasury logs; fi
                while :; do echo talking; sleep 0.05; done
            "],
            user: "nobody",
            stdout_file: "$DIR/run/thief/logs/words",
            restart: (floor: "20ms", ceiling: "100ms"),
        ),
    },
)"#;

struct Stage {
    cluster: Cluster,
    treasury: PathBuf,
}

/// Up to the moment at which the link is there.
fn stage() -> Stage {
    places::need_root("a node of another user");
    let start = Start::with(SITE);
    places::open_to_all(start.directory());
    let treasury = start.directory().join("treasury");
    fs::create_dir(&treasury).unwrap();
    let now = start.directory().join("now");
    let cluster = start.start_ready();
    cluster.wait_text("thief/logs/words", "waiting\n");
    fs::write(now, "").unwrap();
    let link = cluster.run_dir().join("thief/logs");
    wait_for("the link is there", common::PATIENCE, || {
        link.is_symlink().then_some(())
    });
    Stage { cluster, treasury }
}

fn expect_untouched(treasury: &Path) {
    assert_eq!(fs::read_dir(treasury).unwrap().count(), 0);
    assert_eq!(fs::metadata(treasury).unwrap().uid(), 0);
}

/// Shows: the output of a node whose user exchanged its directory for a link is lost, which is told with
/// the link's name; behind the link nothing is made. With a directory in its place it is written again.
#[test]
fn output_does_not_go_behind_a_link_of_the_nodes_user() {
    let Stage { cluster, treasury } = stage();
    cluster.signal(Signal::SIGUSR2); // opens files anew
    let lost = cluster.wait_event("output_lost", Some("thief"));
    let why = lost["detail"]["error"].as_str().unwrap();
    assert!(why.contains("\"logs\" on the way there is a link"), "{why}");
    assert_eq!(cluster.node("thief")["state"], "ready");
    expect_untouched(&treasury);
    let link = cluster.run_dir().join("thief/logs");
    fs::remove_file(&link).unwrap();
    cluster.wait_text("thief/logs/words", "talking\n");
    assert_ne!(fs::metadata(&link).unwrap().uid(), 0);
    cluster.stop_and_expect_nobody_left();
}

/// Shows: a start finds the link too: the node is failed and says why, and nothing is made behind it.
#[test]
fn a_node_whose_place_is_behind_a_link_of_its_user_is_failed() {
    let Stage { cluster, treasury } = stage();
    let again = cluster.kill_and_prepare_another();
    let cluster = again.start();
    let node = cluster.wait_state("thief", "failed");
    let reason = node["reason"].as_str().unwrap();
    assert!(reason.contains("\"logs\" on the way there"), "{reason}");
    expect_untouched(&treasury);
    cluster.stop_and_expect_nobody_left();
}
