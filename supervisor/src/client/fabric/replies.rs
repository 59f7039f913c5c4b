//! What these commands print with `--json`: as stable as the replies of the supervisor. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use cluster::control::SCHEMA;
use cluster::control::reply::moment;
use cluster::fabric::{Class, Slot};
use cluster::layout::spec::Role;
use cluster::node::observer::{Account, Link, Peer, Snapshot, lost_without_ring};
use cluster::shm::board::State;
use cluster::shm::ring::{Corrupt, DropReason};

/// What `pub` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PublishReply {
    pub(crate) schema: u32,
    /// Has everybody what he wants, and wanted anybody anything?
    pub(crate) ok: bool,
    /// Events that were published.
    pub(crate) events: u64,
    /// Their subscribers, in all.
    pub(crate) wanted: u64,
    /// How many of those have them.
    pub(crate) taken: u64,
    /// Events that nobody wants.
    pub(crate) unwanted: u64,
}

/// What `peers` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PeersReply {
    pub(crate) schema: u32,
    pub(crate) ok: bool,
    pub(crate) peers: Vec<PeerRow>,
}

/// Somebody on the board.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PeerRow {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) state: State,
    pub(crate) incarnation: u64,
    /// Of this incarnation; none before the first.
    pub(crate) id: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) attached: bool,
    /// Beginnings of topics; none: it has said nothing, or nothing that makes sense.
    pub(crate) filter: Option<Vec<String>>,
    /// Which incarnation has said so.
    pub(crate) filter_of: Option<u64>,
    pub(crate) slot: u32,
}

impl PeersReply {
    pub(super) fn of<'a>(peers: impl Iterator<Item = &'a Peer>) -> Self {
        Self {
            schema: SCHEMA,
            ok: true,
            peers: peers.map(peer).collect(),
        }
    }
}

fn peer(peer: &Peer) -> PeerRow {
    let entry = &peer.entry;
    let is_born = entry.incarnation.0 > 0;
    let filter = peer.filter.as_ref();
    PeerRow {
        name: entry.name.to_string(),
        role: entry.role,
        state: entry.state,
        incarnation: entry.incarnation.0,
        id: is_born.then(|| entry.id.to_string()),
        pid: matches!(entry.state, State::Born | State::Up).then_some(entry.pid),
        attached: entry.attached,
        filter: filter
            .and_then(|(_, filter)| filter.as_ref().ok())
            .map(|filter| {
                let prefixes = filter.iter().map(String::from_utf8_lossy);
                prefixes.map(std::borrow::Cow::into_owned).collect()
            }),
        filter_of: filter.map(|(incarnation, _)| incarnation.0),
        slot: peer.slot.0,
    }
}

/// What `stats` prints.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StatsReply {
    pub(crate) schema: u32,
    /// Does everything add up?
    pub(crate) ok: bool,
    /// When it was so (RFC 3339, UTC).
    pub(crate) at: String,
    pub(crate) links: Vec<LinkRow>,
    pub(crate) subscribers: Vec<SubscriberRow>,
}

/// A link; or, without a class, records between two for whom no ring could be had.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LinkRow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) class: Option<Class>,
    #[serde(flatten)]
    pub(crate) account: AccountRow,
    /// Bytes for records in the newest ring.
    pub(crate) ring_bytes: Option<u64>,
    /// How often a larger ring took over.
    pub(crate) successions: Option<u32>,
}

/// Everything for one reader.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SubscriberRow {
    pub(crate) to: String,
    #[serde(flatten)]
    pub(crate) account: AccountRow,
}

/// What became of records; all is null that a ring does not tell since it contradicts itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AccountRow {
    pub(crate) published: Option<u64>,
    pub(crate) accepted: Option<u64>,
    pub(crate) delivered: Option<u64>,
    pub(crate) dead_letters: Option<u64>,
    pub(crate) in_flight: Option<u64>,
    pub(crate) in_flight_bytes: Option<u64>,
    /// By reason.
    pub(crate) dropped: Option<BTreeMap<DropReason, u64>>,
    /// Since the last look, of which there is none for the first that `--watch` shows: null.
    pub(crate) rates: Option<Rates>,
    /// What does not add up.
    pub(crate) problem: Option<String>,
}

/// Records in a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Rates {
    pub(crate) published: f64,
    pub(crate) delivered: f64,
    pub(crate) dropped: f64,
}

/// An account, and the one of the last look.
fn account(
    now: Result<Account, Corrupt>,
    before: Option<Account>,
    since: Option<Duration>,
) -> AccountRow {
    let known = now.as_ref().ok();
    let seconds = since.map(|since| since.as_secs_f64());
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    let problem = match &now {
        Err(corrupt) => Some(corrupt.to_string()),
        Ok(account) if !account.adds_up() => {
            Some("accepted is not delivered + dead letters + in flight + oldest + lost".to_owned())
        }
        Ok(_) => None,
    };
    AccountRow {
        published: known.map(Account::published),
        accepted: known.map(|account| account.accepted),
        delivered: known.map(|account| account.delivered),
        dead_letters: known.map(|account| account.dead_letters),
        in_flight: known.map(|account| account.in_flight),
        in_flight_bytes: known.map(|account| account.in_flight_bytes),
        dropped: known.map(|account| DropReason::ALL.into_iter().zip(account.dropped).collect()),
        rates: known.zip(seconds).map(|(now, seconds)| {
            let before = before.unwrap_or_default();
            let rate = |of: fn(&Account) -> u64| per_second(of(now), of(&before), seconds);
            Rates {
                published: rate(Account::published),
                delivered: rate(|account| account.delivered),
                dropped: rate(Account::dropped_in_all),
            }
        }),
        problem,
    }
}

/// To a tenth. A count that went back, since somebody else has the place now, is no rate.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate of so many is no more exact"
)]
fn per_second(now: u64, before: u64, seconds: f64) -> f64 {
    (now.saturating_sub(before) as f64 / seconds * 10.0).round() / 10.0
}

/// A look, and the one before it with the time between them.
pub(super) struct Looks<'a> {
    pub(super) now: &'a Snapshot,
    pub(super) at: SystemTime,
    pub(super) before: Option<(&'a Snapshot, Duration)>,
}

impl Looks<'_> {
    fn name(&self, slot: Slot) -> String {
        let name = self.now.name(slot);
        name.map_or_else(|| format!("?{}", slot.0), ToString::to_string)
    }

    fn row<T>(
        &self,
        now: Result<Account, Corrupt>,
        same: impl Fn(&Snapshot) -> Option<T>,
    ) -> AccountRow
    where
        T: Into<Result<Account, Corrupt>>,
    {
        let (before, since) = self.before.unzip();
        let before = before.and_then(same).and_then(|before| before.into().ok());
        account(now, before, since)
    }

    fn link(&self, link: &Link) -> LinkRow {
        let key = |link: &Link| (link.from, link.to, link.class);
        LinkRow {
            from: self.name(link.from),
            to: self.name(link.to),
            class: Some(link.class),
            account: self.row(link.account, |before| {
                let mut links = before.links.iter();
                links
                    .find(|old| key(old) == key(link))
                    .map(|old| old.account)
            }),
            ring_bytes: Some(link.capacity),
            successions: Some(link.successions),
        }
    }

    fn without_ring(&self, (from, to, count): (Slot, Slot, u64)) -> LinkRow {
        LinkRow {
            from: self.name(from),
            to: self.name(to),
            class: None,
            account: self.row(Ok(lost_without_ring(count)), |before| {
                let mut pairs = before.without_ring.iter();
                let old = pairs.find(|(writer, reader, _)| (*writer, *reader) == (from, to));
                old.map(|(_, _, count)| Ok(lost_without_ring(*count)))
            }),
            ring_bytes: None,
            successions: None,
        }
    }

    /// The links from or to somebody chosen, and the sums for those chosen.
    pub(super) fn reply(&self, is_chosen: &dyn Fn(Slot) -> bool) -> StatsReply {
        let either = |from, to| is_chosen(from) || is_chosen(to);
        let links = self.now.links.iter();
        let links = links.filter(|link| either(link.from, link.to));
        let pairs = self.now.without_ring.iter();
        let pairs = pairs.filter(|(from, to, _)| either(*from, *to));
        let links: Vec<LinkRow> = links
            .map(|link| self.link(link))
            .chain(pairs.map(|pair| self.without_ring(*pair)))
            .collect();
        let sums = self.now.by_reader().into_iter();
        let subscribers = sums.filter(|(slot, _)| is_chosen(*slot));
        let subscribers = subscribers.map(|(slot, sum)| SubscriberRow {
            to: self.name(slot),
            account: self.row(sum, |before| before.by_reader().remove(&slot)),
        });
        StatsReply {
            schema: SCHEMA,
            ok: links.iter().all(|link| link.account.problem.is_none()),
            at: moment(self.at),
            subscribers: subscribers.collect(),
            links,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word_in_json(value: impl Serialize) -> String {
        let json = serde_json::to_value(value).unwrap();
        json.as_str().unwrap().to_owned()
    }

    #[test]
    fn people_and_json_get_the_same_words() {
        use State::{Away, Born, Down, Left, Up};
        for state in [Born, Up, Down, Away, Left] {
            assert_eq!(word_in_json(state), state.word());
        }
        for class in [Class::Control, Class::Bulk] {
            assert_eq!(word_in_json(class), class.word());
        }
        for reason in DropReason::ALL {
            assert_eq!(word_in_json(reason), reason.word());
        }
    }
}
