//! Stages: which there are, and in which one each entry starts.
//!
//! An entry's stage is the one it names, else its role's; `after` raises it beyond those it names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::raw::RawStage;
use super::report::Report;
use super::spec::{Role, StageSpec};
use super::suggest;

/// The stages that every layout knows.
const KNOWN: [(&str, u16); 6] = [
    ("controller", 0),
    ("loggers", 10),
    ("manager", 20),
    ("proxies", 30),
    ("workers", 40),
    ("commands", 50),
];

/// A stage waits so long for its quorum where the layout says nothing.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The stage of a role.
pub(super) fn of_role(role: Role) -> u16 {
    match role {
        Role::Controller => 0,
        Role::Logger => 10,
        Role::Manager => 20,
        Role::Proxy => 30,
        Role::Worker => 40,
        Role::Control | Role::None => 50,
    }
}

/// The stages by name, and what the layout says of them.
#[derive(Debug)]
pub(super) struct Stages {
    numbers: BTreeMap<String, u16>,
    details: BTreeMap<u16, (Option<u32>, Duration)>,
}

impl Stages {
    pub(super) fn read(raw: &BTreeMap<String, RawStage>, report: &mut Report) -> Self {
        let mut stages = Self {
            numbers: KNOWN
                .iter()
                .map(|(name, number)| ((*name).to_owned(), *number))
                .collect(),
            details: BTreeMap::new(),
        };
        for (name, stage) in raw {
            let path = ["stages", name.as_str()];
            let known = stages.numbers.get(name).copied();
            let number = match (known, stage.number) {
                (Some(number), None) | (None, Some(number)) => number,
                (Some(number), Some(other)) => {
                    if number != other {
                        let message = format!("the stage \"{name}\" has the number {number}");
                        report.error(&path, message, "leave the number out, or take another name");
                    }
                    number
                }
                (None, None) => {
                    let near = suggest::hint(name, stages.numbers.keys().map(String::as_str));
                    let hint = format!("{near}; a stage of your own needs number: 25");
                    report.error(&path, format!("the stage \"{name}\" is not known"), &hint);
                    continue;
                }
            };
            let limit = stage.time_limit.map_or(TIME_LIMIT, |limit| limit.0);
            if stages
                .details
                .insert(number, (stage.quorum, limit))
                .is_some()
            {
                let message = format!("another stage has the number {number}");
                report.error(&path, message, "give each stage its own number");
            }
            stages.numbers.insert(name.clone(), number);
        }
        stages
    }

    /// The stages that [`Stages::all`] gave.
    pub(super) fn of(all: &[StageSpec]) -> Self {
        Self {
            numbers: all.iter().map(|s| (s.name.clone(), s.number)).collect(),
            details: all
                .iter()
                .map(|s| (s.number, (s.quorum, s.time_limit)))
                .collect(),
        }
    }

    /// Every stage with a name, by number.
    pub(super) fn all(&self) -> Vec<StageSpec> {
        let stages = self.numbers.iter();
        let mut all: Vec<StageSpec> = stages
            .map(|(name, number)| self.spec(name.clone(), *number))
            .collect();
        all.sort_by_key(|stage| stage.number);
        all
    }

    fn spec(&self, name: String, number: u16) -> StageSpec {
        let details = self.details.get(&number).copied();
        let (quorum, time_limit) = details.unwrap_or((None, TIME_LIMIT));
        StageSpec {
            number,
            name,
            quorum,
            time_limit,
        }
    }

    /// The number of a stage that an entry names, or writes as a number.
    pub(super) fn number(&self, word: &str, path: &[&str], report: &mut Report) -> Option<u16> {
        if let Some(number) = self.numbers.get(word) {
            return Some(*number);
        }
        if let Ok(number) = word.parse() {
            return Some(number);
        }
        let message = format!("the stage \"{word}\" is not known");
        let names = self.numbers.keys().map(String::as_str);
        report.unknown(path, message, ("stage", word), names);
        None
    }

    fn name(&self, number: u16) -> String {
        let exact = self.numbers.iter().find(|(_, n)| **n == number);
        if let Some((name, _)) = exact {
            return name.clone();
        }
        let below = self.numbers.iter().filter(|(_, n)| **n < number);
        match below.max_by_key(|(_, n)| **n) {
            Some((name, n)) => format!("{name}+{}", number - n),
            None => format!("stage {number}"),
        }
    }

    /// The stages that have children, given each child's stage.
    pub(super) fn used(
        &self,
        children: impl Iterator<Item = u16>,
        report: &mut Report,
    ) -> Vec<StageSpec> {
        let mut sizes: BTreeMap<u16, usize> = BTreeMap::new();
        for number in children {
            *sizes.entry(number).or_default() += 1;
        }
        let mut used = Vec::new();
        for (number, size) in sizes {
            let stage = self.spec(self.name(number), number);
            let quorum = stage.quorum.and_then(|q| usize::try_from(q).ok());
            if quorum.is_some_and(|quorum| quorum > size) {
                let message = format!("the quorum is more than the {size} that start here");
                let hint = "the stage would always wait for its time limit; lower the quorum";
                report.warning(&["stages", &stage.name, "quorum"], message, hint);
            }
            used.push(stage);
        }
        used
    }
}

/// Raises stages by `after`. `own` has each entry's own stage, `after` the entries it waits for.
/// A circle is reported and left as it is.
pub(super) fn raise<'a>(
    own: &BTreeMap<&'a str, u16>,
    after: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    report: &mut Report,
) -> HashMap<&'a str, u16> {
    let (order, circles) = order(after);
    let hint = "one of them has to start without waiting for the others";
    refuse(&circles, "after", hint, report);
    let mut effective: HashMap<&str, u16> = own.iter().map(|(name, n)| (*name, *n)).collect();
    for name in order {
        let beyond = after
            .get(name)
            .into_iter()
            .flatten()
            .filter(|other| **other != name)
            .filter_map(|other| effective.get(other))
            .map(|n| n.saturating_add(1))
            .max();
        if let Some(stage) = effective.get_mut(name) {
            *stage = (*stage).max(beyond.unwrap_or(0));
        }
    }
    effective
}

/// Reports circles of entries that name one another in this field.
pub(super) fn refuse(circles: &[Vec<&str>], field: &str, hint: &str, report: &mut Report) {
    for circle in circles {
        if let Some(first) = circle.first() {
            let message = format!("a circle: {} → {first}", circle.join(" → "));
            report.error(&["nodes", first, field], message, hint);
        }
    }
}

/// Depth first without recursion: the entries with those they wait for first, and the circles.
pub(super) fn order<'a>(
    after: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> (Vec<&'a str>, Vec<Vec<&'a str>>) {
    let mut order = Vec::new();
    let mut circles = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in after.keys().copied() {
        let mut way: Vec<(&str, Vec<&str>)> = Vec::new();
        let mut on_way: BTreeSet<&str> = BTreeSet::new();
        let next_of = |name: &str| -> Vec<&'a str> {
            after.get(name).into_iter().flatten().copied().collect()
        };
        if !done.contains(start) {
            way.push((start, next_of(start)));
            on_way.insert(start);
        }
        while let Some((name, rest)) = way.last_mut() {
            let name = *name;
            match rest.pop() {
                None => {
                    way.pop();
                    on_way.remove(name);
                    done.insert(name);
                    order.push(name);
                }
                Some(next) if on_way.contains(next) => {
                    let from = way.iter().position(|(n, _)| *n == next).unwrap_or(0);
                    circles.push(way.iter().skip(from).map(|(n, _)| *n).collect());
                }
                Some(next) if done.contains(next) => {}
                Some(next) => {
                    on_way.insert(next);
                    way.push((next, next_of(next)));
                }
            }
        }
    }
    (order, circles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(
        edges: &[(&'static str, &[&'static str])],
    ) -> BTreeMap<&'static str, BTreeSet<&'static str>> {
        edges
            .iter()
            .map(|(name, after)| (*name, after.iter().copied().collect()))
            .collect()
    }

    #[test]
    fn a_chain_comes_in_order_and_has_no_circle() {
        let (order, circles) = order(&graph(&[("c", &["b"]), ("b", &["a"]), ("a", &[])]));
        assert_eq!(order, ["a", "b", "c"]);
        assert!(circles.is_empty());
    }

    #[test]
    fn circles_are_named_once_even_of_one() {
        let (_, circles) = order(&graph(&[("a", &["b"]), ("b", &["a"]), ("c", &["c"])]));
        assert_eq!(circles, [vec!["a", "b"], vec!["c"]]);
    }
}
