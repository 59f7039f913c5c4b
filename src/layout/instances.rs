//! Which instances there are, and which of them this host is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::host::Host;
use super::raw::RawInstance;
use super::report::Report;
use super::suggest;
use crate::names::InstanceName;

/// The only instance of a layout that names none.
const HERE: &str = "here";

/// The instances, and this host's.
#[derive(Clone, Debug)]
pub(super) struct Instances {
    pub(super) all: BTreeMap<InstanceName, IpAddr>,
    /// `None`: it could not be told, and that is reported.
    pub(super) here: Option<InstanceName>,
}

impl Instances {
    /// Their names, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.all.keys().map(InstanceName::as_str)
    }

    /// The instance that the text names at `path`; one that is not known is reported.
    pub(super) fn named(
        &self,
        word: &str,
        path: &[&str],
        report: &mut Report,
    ) -> Option<(&InstanceName, &IpAddr)> {
        let found = self.all.get_key_value(word);
        if found.is_none() {
            let message = format!("the instance \"{word}\" is not known");
            report.unknown(path, message, ("instance", word), self.names());
        }
        found
    }
}

/// Reads the instances and picks this host's.
pub(super) fn read(
    raw: &BTreeMap<String, RawInstance>,
    wanted: Option<&str>,
    host: &dyn Host,
    report: &mut Report,
) -> Instances {
    let mut all = BTreeMap::new();
    let only = raw.len() == 1;
    for (word, instance) in raw {
        let path = ["instances", word.as_str()];
        let name = match InstanceName::parse(word) {
            Ok(name) => name,
            Err(error) => {
                report.error(&path, error.to_string(), "choose another name");
                continue;
            }
        };
        if instance.ip.is_none() && !only {
            let hint = "with several instances each needs its address, as in (ip: \"10.0.0.1\")";
            report.error(&path, "the instance has no ip", hint);
        }
        all.insert(name, instance.ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
    if raw.is_empty()
        && let Ok(name) = InstanceName::parse(HERE)
    {
        all.insert(name, Ipv4Addr::LOCALHOST.into());
    }
    let here = pick(&all, wanted, host, report);
    Instances { all, here }
}

fn pick(
    all: &BTreeMap<InstanceName, IpAddr>,
    wanted: Option<&str>,
    host: &dyn Host,
    report: &mut Report,
) -> Option<InstanceName> {
    let names = || all.keys().map(InstanceName::as_str);
    if let Some(word) = wanted {
        let found = all.keys().find(|name| name.as_str() == word).cloned();
        if found.is_none() {
            let message =
                format!("the layout has no instance \"{word}\", which --instance asks for");
            report.error(&["instances"], message, &suggest::hint(word, names()));
        }
        return found;
    }
    if all.len() <= 1 {
        return all.keys().next().cloned();
    }
    let mine = host.addresses();
    let matching: Vec<&InstanceName> = all
        .iter()
        .filter(|(_, ip)| mine.contains(ip))
        .map(|(name, _)| name)
        .collect();
    match matching.as_slice() {
        [one] => Some((*one).clone()),
        [] => {
            let message = "no instance has an address of this host".to_owned();
            let hint = suggest::list("say which one this is with --instance:", names());
            report.error(&["instances"], message, &hint);
            None
        }
        several => {
            let words = several.iter().map(|name| name.as_str());
            let message = suggest::list("several instances have an address of this host:", words);
            let hint = "say which one this is with --instance";
            report.error(&["instances"], message, hint);
            None
        }
    }
}
