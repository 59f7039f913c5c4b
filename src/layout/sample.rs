//! A machine made up for tests, and short ways to read a layout on it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::finding::{Finding, Severity};
use super::host::Host;
use super::spec::Identity;
use super::{Layout, Overrides, read};

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) uid: u32,
    pub(super) descriptors: u64,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) variables: Vec<(&'static str, &'static str)>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            uid: 0,
            descriptors: 4096,
            addresses: vec!["127.0.0.1".parse().unwrap()],
            variables: Vec::new(),
        }
    }
}

impl Host for Machine {
    fn hostname(&self) -> String {
        "alpha".to_owned()
    }
    fn addresses(&self) -> Vec<IpAddr> {
        self.addresses.clone()
    }
    fn processors(&self) -> Vec<u32> {
        (0..8).collect()
    }
    fn descriptors_max(&self) -> u64 {
        self.descriptors
    }
    fn effective_uid(&self) -> u32 {
        self.uid
    }
    fn identity(&self, user: &str, group: Option<&str>) -> Result<Identity, String> {
        let uid = match user {
            "root" | "0" => 0,
            "watch" | "1000" => 1000,
            other => return Err(format!("there is no user \"{other}\"")),
        };
        Ok(Identity {
            uid,
            gid: if group.is_some() { 7 } else { uid },
            groups: Vec::new(),
            name: user.to_owned(),
            home: PathBuf::from("/"),
        })
    }
    fn group(&self, name: &str) -> Result<u32, String> {
        match name {
            "watch" | "1000" => Ok(1000),
            other => Err(format!("there is no group \"{other}\"")),
        }
    }
    fn program(&self, word: &str) -> Result<(), String> {
        match word {
            "sleep" | "true" | "sh" | "/etc/site/bin/probe" => Ok(()),
            _ => Err("no such file".to_owned()),
        }
    }
    fn exists(&self, path: &Path) -> bool {
        !path.starts_with("/gone")
    }
    fn variable(&self, name: &str) -> Option<String> {
        let found = self.variables.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

pub(super) fn on(text: &str, machine: &Machine) -> Result<(Layout, Vec<Finding>), Vec<Finding>> {
    let overrides = Overrides {
        default_run_dir: PathBuf::from("/work/run"),
        ..Overrides::default()
    };
    read(text, Path::new("/etc/site/a.ron"), &overrides, machine)
}

/// A layout that has to be good.
pub(super) fn layout(text: &str) -> Layout {
    on(text, &Machine::default()).unwrap().0
}

/// The errors of a layout that is refused.
pub(super) fn refused_on(text: &str, machine: &Machine) -> Vec<Finding> {
    let mut findings = on(text, machine).unwrap_err();
    findings.retain(|f| f.severity == Severity::Error);
    assert!(!findings.is_empty());
    findings
}

/// The only finding, as `line:column|node|field|message|hint`.
pub(super) fn only(findings: &[Finding]) -> String {
    let [f] = findings else {
        panic!("not one finding: {findings:#?}");
    };
    assert_eq!(f.file, "/etc/site/a.ron");
    format!(
        "{}:{}|{}|{}|{}|{}",
        f.line,
        f.column,
        f.node.as_deref().unwrap_or("-"),
        f.field.as_deref().unwrap_or("-"),
        f.message,
        f.hint.as_deref().unwrap_or("-")
    )
}

pub(super) fn refused(text: &str) -> String {
    only(&refused_on(text, &Machine::default()))
}

#[track_caller]
pub(super) fn same(actual: String, expected: &str) {
    assert_eq!(actual, expected);
}

/// A manager on line 2, and an entry `x` on line 3, column 1.
pub(super) fn with(x: &str) -> String {
    format!("(nodes: {{\n\"manager\": (node_type: Manager),\n\"x\": ({x}),\n}})")
}
