//! Who is on the board, and what became of records.

use cluster::fabric::Class;
use cluster::shm::board::State;

use super::figures::{self, UNKNOWN, or_unknown};
use super::table::{self, Align, Cell, Row};
use crate::client::fabric::replies::{AccountRow, LinkRow, PeerRow, PeersReply, StatsReply};
use crate::client::out::{Paint, Tone, clean};

const PEERS: [(&str, Align); 8] = [
    ("NAME", Align::Left),
    ("TYPE", Align::Left),
    ("STATE", Align::Left),
    ("ATTACHED", Align::Left),
    ("INCARNATION", Align::Right),
    ("PID", Align::Right),
    ("ID", Align::Left),
    ("FILTER", Align::Left),
];

const ENDS: [(&str, Align); 3] = [
    ("FROM", Align::Left),
    ("TO", Align::Left),
    ("CLASS", Align::Left),
];

const ACCOUNT: [(&str, Align); 7] = [
    ("PUBLISHED", Align::Right),
    ("ACCEPTED", Align::Right),
    ("DELIVERED", Align::Right),
    ("IN-FLIGHT", Align::Right),
    ("BYTES", Align::Right),
    ("DEAD", Align::Right),
    ("DROPPED", Align::Right),
];

const RATES: [(&str, Align); 3] = [
    ("PUBLISHED/S", Align::Right),
    ("DELIVERED/S", Align::Right),
    ("DROPPED/S", Align::Right),
];

const RING: [(&str, Align); 1] = [("RING", Align::Right)];

/// Everybody on the board.
pub(crate) fn peers(reply: &PeersReply, paint: Paint) -> String {
    let rows: Vec<Row> = reply.peers.iter().map(peer).collect();
    table::text(&PEERS, &rows, paint)
}

fn peer(peer: &PeerRow) -> Row {
    let tone = match peer.state {
        State::Up => Tone::Good,
        State::Away | State::Left => Tone::Faint,
        State::Born | State::Down => Tone::Doubtful,
    };
    let mut notes = Vec::new();
    if let Some(declared) = peer.filter_of.filter(|of| *of != peer.incarnation) {
        notes.push(format!("the filter is that of incarnation {declared}"));
    }
    if peer.filter_of.is_some() && peer.filter.is_none() {
        notes.push("its filter makes no sense".to_owned());
    }
    let filter = match peer.filter.as_deref() {
        None => UNKNOWN.to_owned(),
        Some([]) => "(nothing)".to_owned(),
        Some([only]) if only.is_empty() => "(everything)".to_owned(),
        Some(prefixes) => clean(&prefixes.join(" ")),
    };
    Row {
        cells: vec![
            Cell::plain(clean(&peer.name)),
            Cell::plain(peer.role.word()),
            Cell::toned(peer.state.word(), tone),
            Cell::plain(if peer.attached { "yes" } else { "no" }),
            Cell::plain(peer.incarnation.to_string()),
            Cell::plain(or_unknown(peer.pid)),
            Cell::plain(or_unknown(peer.id.as_ref())),
            Cell::plain(filter),
        ],
        notes,
    }
}

/// All links, and the sums for each reader; with rates if there are any.
pub(crate) fn stats(reply: &StatsReply, paint: Paint) -> String {
    if reply.links.is_empty() {
        return "nothing was published\n".to_owned();
    }
    let rated = reply.links.iter().any(|link| link.account.rates.is_some());
    let rates: &[(&str, Align)] = if rated { &RATES } else { &[] };
    let links: Vec<Row> = reply
        .links
        .iter()
        .map(|link| link_row(link, rated))
        .collect();
    let mut text = table::text(&[&ENDS, &ACCOUNT[..], rates, &RING].concat(), &links, paint);
    text.push('\n');
    let sums = reply.subscribers.iter().map(|sum| {
        let mut row = account(&sum.account, rated);
        row.cells.insert(0, Cell::plain(clean(&sum.to)));
        row
    });
    let sums: Vec<Row> = sums.collect();
    let head = [("SUBSCRIBER", Align::Left)];
    text.push_str(&table::text(
        &[&head, &ACCOUNT[..], rates].concat(),
        &sums,
        paint,
    ));
    text
}

fn link_row(link: &LinkRow, rated: bool) -> Row {
    let mut row = account(&link.account, rated);
    let ends = [
        clean(&link.from),
        clean(&link.to),
        or_unknown(link.class.map(Class::word)),
    ];
    row.cells.splice(..0, ends.map(Cell::plain));
    let ring = link.ring_bytes.map(figures::bytes);
    row.cells.push(Cell::plain(or_unknown(ring)));
    if let Some(times) = link.successions.filter(|times| *times > 0) {
        row.notes.push(format!(
            "larger rings took over {times} times; what was accepted and delivered in rings that are \
             gone is not counted"
        ));
    }
    row
}

fn account(account: &AccountRow, rated: bool) -> Row {
    let dropped = account.dropped.as_ref();
    let dropped_in_all = dropped.map(|dropped| dropped.values().sum::<u64>());
    let alarming = |count: Option<u64>, tone| {
        let tone = if count.is_some_and(|count| count > 0) {
            tone
        } else {
            Tone::Plain
        };
        Cell::toned(or_unknown(count), tone)
    };
    let mut cells = vec![
        Cell::plain(or_unknown(account.published)),
        Cell::plain(or_unknown(account.accepted)),
        Cell::plain(or_unknown(account.delivered)),
        Cell::plain(or_unknown(account.in_flight)),
        Cell::plain(or_unknown(account.in_flight_bytes.map(figures::bytes))),
        alarming(account.dead_letters, Tone::Bad),
        alarming(dropped_in_all, Tone::Doubtful),
    ];
    if rated {
        let rates = account
            .rates
            .map(|rates| [rates.published, rates.delivered, rates.dropped]);
        let rates = rates.map_or_else(
            || [UNKNOWN; 3].map(str::to_owned),
            |rates| rates.map(|rate| format!("{rate:.1}")),
        );
        cells.extend(rates.map(Cell::plain));
    }
    let mut notes = Vec::new();
    let reasons = dropped
        .into_iter()
        .flatten()
        .filter(|(_, count)| **count > 0);
    let reasons: Vec<String> = reasons
        .map(|(reason, count)| format!("{count} {}", reason.word()))
        .collect();
    if !reasons.is_empty() {
        notes.push(format!("dropped: {}", reasons.join(", ")));
    }
    if let Some(problem) = &account.problem {
        notes.push(format!("does not add up: {}", clean(problem)));
    }
    Row { cells, notes }
}
