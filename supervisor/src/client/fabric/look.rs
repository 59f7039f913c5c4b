//! `peers` and `stats`: what anybody may see who does not touch anything.

use std::io;
use std::time::Duration;

use serde::Serialize;

use cluster::control::Code;
use cluster::control::select::{Candidate, Selector, pick};
use cluster::fabric::Slot;
use cluster::node::observer::Snapshot;
use cluster::sys::clock;

use super::replies::{Looks, PeersReply};
use super::{Place, refused};
use crate::cli::fabric::{PeersArgs, StatsArgs};
use crate::client::failure::ClientError;
use crate::client::out::Console;
use crate::client::render;
use crate::client::watch::{INTERVAL, pause, picture};

/// Between the two looks of somebody who does not watch: long enough for rates, and hardly felt.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);

/// Shows who is there.
pub(super) fn peers(
    args: &PeersArgs,
    place: &Place,
    console: &mut Console<'_>,
) -> Result<Code, ClientError> {
    let snapshot = look(place)?;
    let chosen = choose(&snapshot, &args.nodes.select)?;
    let peers = snapshot.peers.iter();
    let reply = PeersReply::of(peers.filter(|peer| chosen.contains(&peer.slot)));
    show(&reply, console, |console| {
        console.print(&render::fabric::peers(&reply, console.paint))
    })?;
    Ok(Code::Done)
}

/// Shows what became of all records; again and again, if that is wanted.
pub(super) fn stats(
    args: &StatsArgs,
    place: &Place,
    console: &mut Console<'_>,
) -> Result<Code, ClientError> {
    let mut last = if args.watch {
        None
    } else {
        // Two looks tell how quickly it goes.
        let first = (look(place)?, clock::monotonic());
        pause(FIRST_INTERVAL)?;
        Some(first)
    };
    loop {
        let (now, taken) = (look(place)?, clock::monotonic());
        let chosen = choose(&now, &args.nodes.select)?;
        let before = last.as_ref();
        let looks = Looks {
            now: &now,
            at: clock::wall(),
            before: before.map(|(last, at)| (last, taken.saturating_duration_since(*at))),
        };
        // Who wants nothing and publishes nothing is no reason to leave out the others' links.
        let reply = looks.reply(&|slot| args.nodes.select.is_empty() || chosen.contains(&slot));
        let code = if reply.ok { Code::Done } else { Code::Failed };
        show(&reply, console, |console| {
            let text = render::fabric::stats(&reply, console.paint);
            let drawn = if args.watch {
                picture(&text, console.terminal)
            } else {
                text
            };
            console.print(&drawn)
        })?;
        if !args.watch {
            return Ok(code);
        }
        console.flush()?;
        last = Some((now, taken));
        pause(INTERVAL)?;
    }
}

fn look(place: &Place) -> Result<Snapshot, ClientError> {
    Snapshot::take(&place.attach, place.limit).map_err(|error| place.failed(error))
}

/// The places of those whom the selectors choose; none chooses all.
fn choose(snapshot: &Snapshot, select: &[String]) -> Result<Vec<Slot>, ClientError> {
    if select.is_empty() {
        return Ok(snapshot.peers.iter().map(|peer| peer.slot).collect());
    }
    if select.iter().any(|word| word == "@failed") {
        return Err(ClientError::Usage(
            "the board does not tell who failed from who was stopped: `supervisor status @failed` does",
        ));
    }
    let selectors: Vec<Selector> = select.iter().cloned().map(Selector).collect();
    let candidates: Vec<Candidate<'_>> = snapshot
        .peers
        .iter()
        .map(|peer| Candidate {
            name: peer.entry.name.as_str(),
            role: peer.entry.role,
            failed: false,
        })
        .collect();
    let names = pick(&selectors, &candidates)
        .map_err(|error| refused(Code::Usage, nobody(&error.selector)))?;
    let peers = snapshot.peers.iter();
    let chosen = peers.filter(|peer| names.contains(&peer.entry.name.as_str()));
    Ok(chosen.map(|peer| peer.slot).collect())
}

fn nobody(selector: &str) -> String {
    format!("the selector \"{selector}\" matches nobody on the board; `supervisor peers` lists it")
}

/// As JSON, or as people read it.
fn show<T: Serialize>(
    reply: &T,
    console: &mut Console<'_>,
    text: impl FnOnce(&mut Console<'_>) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    if !console.json {
        return text(console);
    }
    let line = serde_json::to_string(reply).map_err(io::Error::from)?;
    console.print_json(&line)
}
