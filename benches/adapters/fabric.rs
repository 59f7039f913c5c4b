//! An adapter that puts the endpoint beside other means of messaging: `fabric pub|sub|deaf|ping|pong
//! key=value…`. The program `benches/adapters/fabric` finds it; `benches/README.md` has the protocol.
//!
//! It uses the public endpoint as any program does: it attaches to a supervisor, subscribes topics,
//! publishes, and everything is counted. The first process of a run starts the supervisor of the run,
//! and a keeper that ends it when the last one has left.

#[path = "keeper.rs"]
mod keeper;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cluster::fabric::Wait;
use cluster::layout::spec::Role;
use cluster::names::NodeName;
use cluster::node::endpoint::{Delivery, Endpoint, Outbox, Record};
use cluster::shm::board::{Entry, State};
use cluster::sys::clock;

/// The sequence number that says: no more.
const END: u64 = u64::MAX;
/// Nothing is waited for longer than this.
const PATIENCE: Duration = Duration::from_secs(30);
/// A node that has had work sleeps long before this.
const TIME_TO_FALL_ASLEEP: Duration = Duration::from_micros(20);
/// Records taken out in one turn.
const BUDGET: usize = 256;

type Failure = Box<dyn std::error::Error>;

struct Settings {
    role: String,
    addr: String,
    size: usize,
    secs: f64,
    publishers: u64,
    subscribers: usize,
    index: u32,
    wait: Wait,
    trips: usize,
    /// What the layout says of the transport, if anything.
    transport: Option<String>,
    /// The longest time without a record is measured as well.
    gap: bool,
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    let mut settings = Settings {
        role,
        addr: "bench".to_owned(),
        size: 64,
        secs: 0.5,
        publishers: 1,
        subscribers: 1,
        index: 0,
        wait: Wait::Busy,
        trips: 20_000,
        transport: None,
        gap: false,
    };
    for argument in arguments {
        let Some((key, value)) = argument.split_once('=') else {
            continue;
        };
        match key {
            "addr" => settings.addr = value.to_owned(),
            "size" => settings.size = value.parse::<usize>()?.max(16),
            "secs" => settings.secs = value.parse()?,
            "npub" => settings.publishers = value.parse()?,
            "nsub" => settings.subscribers = value.parse()?,
            "idx" => settings.index = value.parse()?,
            "n" => settings.trips = value.parse()?,
            "transport" if value == "unix" => settings.transport = Some("Unix".to_owned()),
            "gap" => settings.gap = value == "1",
            "wait" if value == "block" => settings.wait = Wait::Block,
            "cpu" => cluster::sys::limits::pin(&[value.parse()?])?,
            _ => {}
        }
    }
    // More processes than processors: nobody may keep one for itself.
    let crowd = usize::try_from(settings.publishers)? + settings.subscribers;
    if settings.wait == Wait::Busy && crowd > 2 {
        settings.wait = Wait::Spin(Duration::from_micros(20));
    }
    match settings.role.as_str() {
        "keep" => keeper::keep(&PathBuf::from(&settings.addr)),
        "pub" => publish(&settings),
        "sub" => subscribe(&settings),
        "deaf" => be_deaf(&settings),
        "ping" => ping(&settings),
        "pong" => pong(&settings),
        other => Err(format!("{other:?} is no role; use pub, sub, deaf, ping or pong").into()),
    }
}

/// Takes a place in the run's cluster. Receivers count as loggers: publishers wait for room in their
/// rings instead of dropping.
fn attach(settings: &Settings, receives: bool) -> Result<(Endpoint, keeper::Guest), Failure> {
    let guest = keeper::visit(&settings.addr, settings.transport.as_deref())?;
    let name = NodeName::parse(&format!("{}-{}", settings.role, settings.index))?;
    let role = if receives { Role::Logger } else { Role::Worker };
    let mut endpoint = Endpoint::attach(&guest.socket(), Some(name), role)?;
    endpoint.wait_as(settings.wait);
    Ok((endpoint, guest))
}

fn say(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn wait_to_go() -> Result<(), Failure> {
    if std::io::stdin().read(&mut [0; 64])? == 0 {
        return Err("nobody said when to begin".into());
    }
    Ok(())
}

/// Waits until so many others of this role are up.
fn wait_for_readers(endpoint: &mut Endpoint, role: &str, count: usize) -> Result<(), Failure> {
    let deadline = clock::monotonic() + PATIENCE;
    let up =
        |(_, peer): &(_, &Entry)| peer.state == State::Up && peer.name.as_str().starts_with(role);
    while endpoint.outbox().peers().filter(up).count() < count {
        if clock::monotonic() > deadline {
            return Err("the subscribers did not come".into());
        }
        endpoint.wait(Some(clock::monotonic() + Duration::from_millis(10)))?;
        endpoint.drain(BUDGET, |_, _| ());
    }
    Ok(())
}

/// Reads one word of each 64 bytes, so that every transport pays for looking at the payload.
fn touch(payload: &[u8]) -> u64 {
    let words = payload.chunks(64).filter_map(|line| line.first_chunk());
    words.fold(0, |sum, word| sum ^ u64::from_le_bytes(*word))
}

fn sequence(payload: &[u8]) -> u64 {
    payload
        .first_chunk()
        .map_or(END, |word| u64::from_le_bytes(*word))
}

fn publish(settings: &Settings) -> Result<(), Failure> {
    const TOPIC: &[u8] = b"bench/data";
    let (mut endpoint, _guest) = attach(settings, false)?;
    wait_for_readers(&mut endpoint, "sub-", settings.subscribers)?;
    let mut payload = vec![0; settings.size];
    say("READY")?;
    wait_to_go()?;
    let begin = clock::monotonic();
    let end = begin + Duration::from_secs_f64(settings.secs);
    let outbox = endpoint.outbox();
    let mut sent = 0_u64;
    while !sent.is_multiple_of(256) || clock::monotonic() < end {
        send(outbox, TOPIC, &mut payload, sent);
        sent += 1;
    }
    send(outbox, TOPIC, &mut payload, END);
    // What a stream has queued would be lost with this program.
    endpoint.flush_until(clock::monotonic() + PATIENCE)?;
    say(&format!(
        "RESULT msgs={sent} ns={}",
        begin.elapsed().as_nanos()
    ))
}

fn send(outbox: &mut Outbox, topic: &[u8], payload: &mut [u8], number: u64) -> bool {
    if let Some(word) = payload.first_chunk_mut() {
        *word = number.to_le_bytes();
    }
    outbox.publish(topic, payload)
}

fn subscribe(settings: &Settings) -> Result<(), Failure> {
    let (mut endpoint, _guest) = attach(settings, true)?;
    endpoint.subscribe(b"bench/data", Delivery::AtLeastOnce)?;
    endpoint.announce();
    say("READY")?;
    let (mut count, mut ends, mut sum) = (0_u64, 0, 0);
    let mut begin = None;
    let (mut last, mut gap) = (None::<Instant>, Duration::ZERO);
    while ends < settings.publishers {
        endpoint.wait(None)?;
        endpoint.drain(BUDGET, |_, record| {
            begin.get_or_insert_with(clock::monotonic);
            sum ^= touch(record.payload);
            if sequence(record.payload) == END {
                ends += 1;
            } else {
                count += 1;
            }
        });
        if settings.gap {
            let now = clock::monotonic();
            gap = gap.max(last.replace(now).map_or(Duration::ZERO, |last| now - last));
        }
    }
    let time = begin.map_or(Duration::ZERO, |begin| begin.elapsed());
    std::hint::black_box(sum);
    say(&format!(
        "RESULT msgs={count} ns={} ends={ends} gap={}",
        time.as_nanos(),
        gap.as_nanos()
    ))
}

/// Wants everything and never reads. It is no logger, so nobody waits for it.
fn be_deaf(settings: &Settings) -> Result<(), Failure> {
    let (mut endpoint, _guest) = attach(settings, false)?;
    endpoint.subscribe(b"bench/data", Delivery::AtLeastOnce)?;
    endpoint.announce();
    say("READY")?;
    wait_to_go()
}

/// Waits for one record and gives its number.
fn receive(endpoint: &mut Endpoint) -> Result<u64, Failure> {
    let mut found = None;
    let mut look = |_: &mut Outbox, record: &Record<'_>| {
        std::hint::black_box(touch(record.payload));
        found = Some(sequence(record.payload));
    };
    while endpoint.drain(1, &mut look) == 0 {
        endpoint.wait(None)?;
    }
    found.ok_or_else(|| "the record held no number".into())
}

fn pong(settings: &Settings) -> Result<(), Failure> {
    let (mut endpoint, _guest) = attach(settings, true)?;
    endpoint.subscribe(b"bench/ping", Delivery::AtLeastOnce)?;
    endpoint.announce();
    say("READY")?;
    let mut payload = vec![0; settings.size];
    loop {
        let number = receive(&mut endpoint)?;
        if number == END {
            return Ok(());
        }
        send(endpoint.outbox(), b"bench/pong", &mut payload, number);
    }
}

/// Who was busy looks a few times more before it sleeps, and would be met awake by the next trip.
fn let_it_fall_asleep() {
    let begin = clock::monotonic();
    while begin.elapsed() < TIME_TO_FALL_ASLEEP {
        std::hint::spin_loop();
    }
}

fn ping(settings: &Settings) -> Result<(), Failure> {
    let (mut endpoint, _guest) = attach(settings, true)?;
    endpoint.subscribe(b"bench/pong", Delivery::AtLeastOnce)?;
    endpoint.announce();
    wait_for_readers(&mut endpoint, "pong-", 1)?;
    say("READY")?;
    wait_to_go()?;
    let mut payload = vec![0; settings.size];
    let mut halves = Vec::with_capacity(settings.trips);
    for trip in 0..settings.trips + settings.trips / 10 {
        if settings.wait == Wait::Block {
            let_it_fall_asleep();
        }
        let begin = clock::monotonic();
        send(endpoint.outbox(), b"bench/ping", &mut payload, trip as u64);
        receive(&mut endpoint)?;
        if trip >= settings.trips / 10 {
            halves.push(begin.elapsed().as_nanos() / 2);
        }
    }
    send(endpoint.outbox(), b"bench/ping", &mut payload, END);
    halves.sort_unstable();
    let last = halves.len().saturating_sub(1);
    let at = |permille: usize| halves.get(last * permille / 1000).copied().unwrap_or(0);
    say(&format!(
        "RESULT n={} p50={} p99={} p999={} min={} max={}",
        halves.len(),
        at(500),
        at(990),
        at(999),
        at(0),
        at(1000)
    ))
}
