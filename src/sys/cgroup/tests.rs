use super::*;
use crate::sys::alone::{alone, wait_to_be_killed};
use crate::sys::identity;
use crate::sys::process::{Forked, fork, reap};
use tempfile::TempDir;

/// A made-up host: the account of mounts, our path, and a folder with the files of a group.
struct MadeUp {
    place: TempDir,
}

impl MadeUp {
    fn new(controllers: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let group = place.path().join("tree/site/cluster");
        fs::create_dir_all(&group).unwrap();
        for (name, text) in [
            ("cgroup.procs", ""),
            ("cgroup.subtree_control", ""),
            ("cgroup.controllers", controllers),
        ] {
            fs::write(group.join(name), text).unwrap();
        }
        let mounts = format!(
            "22 1 0:5 / /proc rw - proc proc rw\n\
             31 22 0:28 / {0} rw shared:9 - cgroup2 cgroup2 rw\n",
            place.path().join("tree").display()
        );
        fs::write(place.path().join("mounts"), mounts).unwrap();
        fs::write(
            place.path().join("own"),
            "4:memory:/old\n0::/site/cluster\n",
        )
        .unwrap();
        Self { place }
    }

    fn delegated(&self) -> Result<Groups, WhyNot> {
        Groups::delegated_by(
            &self.place.path().join("mounts"),
            &self.place.path().join("own"),
        )
    }

    fn group(&self) -> PathBuf {
        self.place.path().join("tree/site/cluster")
    }
}

fn limit(file: &str, value: &str) -> GroupLimit {
    GroupLimit {
        file: file.into(),
        value: value.into(),
    }
}

#[test]
fn a_delegated_group_is_found_and_says_what_it_offers() {
    let host = MadeUp::new("cpu memory\n");
    let groups = host.delegated().unwrap();
    assert_eq!(groups.directory(), host.group());
    groups.offers(&limit("memory.high", "1")).unwrap();
    groups.offers(&limit("cgroup.max.depth", "1")).unwrap();
    let text = groups
        .offers(&limit("pids.max", "1"))
        .unwrap_err()
        .to_string();
    assert!(text.contains("no controller \"pids\""), "{text}");
}

#[test]
fn a_limit_goes_to_its_file_and_a_file_that_is_missing_is_named() {
    let host = MadeUp::new("memory");
    let groups = host.delegated().unwrap();
    let directory = groups.make("worker-1", &[]).unwrap();
    fs::write(directory.join("memory.high"), "").unwrap();
    fs::write(
        directory.join("memory.events"),
        "oom 4\noom_kill 3\noom_group_kill 0\n",
    )
    .unwrap();
    groups
        .make("worker-1", &[limit("memory.high", "268435456")])
        .unwrap();
    assert_eq!(
        fs::read_to_string(directory.join("memory.high")).unwrap(),
        "268435456"
    );
    assert_eq!(oom_kills(&directory), 3);
    assert_eq!(oom_kills(&host.group()), 0);
    let error = groups
        .make("worker-1", &[limit("memory.low", "1")])
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("worker-1/memory.low"));
    for bad in ["", "..", "a/b"] {
        assert_eq!(
            groups.make(bad, &[]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(groups.make("worker-1", &[limit(bad, "1")]).is_err());
    }
}

#[test]
fn a_host_without_delegation_says_why_in_words() {
    let host = MadeUp::new("");
    assert!(matches!(
        host.delegated(),
        Err(WhyNot::ControllerMissing { .. })
    ));
    fs::write(host.place.path().join("own"), "0::/../elsewhere\n").unwrap();
    assert!(matches!(host.delegated(), Err(WhyNot::NoMount)));
    fs::write(host.place.path().join("own"), "4:memory:/old\n").unwrap();
    let text = host.delegated().unwrap_err().to_string();
    assert!(text.contains("version 2"), "{text}");
    fs::remove_file(host.place.path().join("own")).unwrap();
    assert!(matches!(host.delegated(), Err(WhyNot::Unreadable { .. })));
}

/// As nobody, for root may write everywhere.
#[test]
fn a_group_of_somebody_elses_is_not_ours_to_divide() {
    alone(|| {
        let host = MadeUp::new("cpu");
        if nix::unistd::geteuid().is_root() {
            let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(host.place.path(), all).unwrap();
            let nobody = crate::layout::spec::Identity {
                uid: 65534,
                gid: 65534,
                groups: vec![],
                name: "nobody".into(),
                home: "/".into(),
            };
            identity::assume(&nobody, &[]).unwrap();
        } else {
            let read_only = std::os::unix::fs::PermissionsExt::from_mode(0o555);
            fs::set_permissions(host.group(), read_only).unwrap();
        }
        let error = host.delegated().unwrap_err();
        assert!(matches!(error, WhyNot::NotWritable { .. }), "{error}");
    });
}

#[test]
fn a_mount_is_found_by_what_it_shows() {
    let mounts = "1 0 0:1 /docker/x /cg\\040roup rw - cgroup2 none rw\n";
    let found = |own| locate(mounts, own);
    assert_eq!(found("0::/docker/x/a"), Some("/cg roup/a".into()));
    assert_eq!(found("0::/docker/x"), Some("/cg roup".into()));
    assert_eq!(found("0::/docker/xy"), None);
    assert_eq!(unescape("a\\134b\\9"), "a\\b9");
}

/// Shows, on the real tree: a child is born into a group and killed with it, and the group can be
/// removed. Where the tree is not ours, its refusal is what is shown.
#[test]
fn a_real_group_is_entered_killed_and_removed() {
    alone(|| {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let Some(directory) = locate(&mounts, &own) else {
            assert!(matches!(Groups::delegated(), Err(WhyNot::NoMount)));
            return;
        };
        let groups = Groups {
            directory,
            controllers: vec![],
        };
        let name = format!("cluster-test-{}", crate::sys::process::id());
        let Ok(group) = groups.make(&name, &[]) else {
            assert!(Groups::delegated().is_err());
            return;
        };
        let Forked::Parent(_) = fork().unwrap() else {
            let code = i32::from(enter(&group).is_err());
            if code == 0 {
                wait_to_be_killed()
            }
            crate::sys::process::exit_now(code);
        };
        while fs::read_to_string(group.join("cgroup.procs"))
            .unwrap()
            .is_empty()
        {
            assert_eq!(reap().unwrap(), None, "the child could not enter");
            std::thread::yield_now();
        }
        assert!(remove(&group).is_err(), "somebody is in it");
        kill(&group).unwrap();
        while reap().unwrap().is_none() {
            std::thread::yield_now();
        }
        while remove(&group).is_err() {
            std::thread::yield_now();
        }
        assert!(!group.exists());
        remove(&group).unwrap();
    });
}
