//! A cluster of one's own: sensors measure, aggregators share the stations among them, archives keep
//! summaries. One program, three roles; `weather.ron` beside it is its layout.
//!
//!     cargo build --release --examples
//!     PATH="$PWD/target/release/examples:$PATH" target/release/supervisor --layout examples/weather.ron

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use cluster::causes;
use cluster::data::{Parts, View};
use cluster::framework::{EventType, LOGGER_POOL, PROXY_POOL, Param};
use cluster::layout::spec::Role;
use cluster::node::Cluster;
use cluster::node::cluster::{Handler, OrReport, Received};
use cluster::sys::clock;

/// A station's temperature in degrees.
const READING: EventType = EventType::new("Weather::reading", &[Param::String, Param::Double]);
/// A station's mean temperature over so many readings.
const SUMMARY: EventType = EventType::new(
    "Weather::summary",
    &[Param::String, Param::Count, Param::Double],
);

const MEASURE_EVERY: Duration = Duration::from_millis(100);
const READINGS_A_SUMMARY: u32 = 5;

fn main() -> ExitCode {
    match live() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weather: {}", causes::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn live() -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::take_seat()?;
    match std::env::args().nth(1).as_deref() {
        Some("sensor") => measure(&mut cluster)?,
        Some("aggregator") => cluster.run(&mut Aggregator::default())?,
        Some("archive") => cluster.run(&mut Archive)?,
        _ => return Err("say which: sensor, aggregator or archive".into()),
    }
    Ok(())
}

/// Measures from time to time. The same aggregator gets all readings of a station.
fn measure(cluster: &mut Cluster) -> Result<(), Box<dyn Error>> {
    cluster.init()?;
    // Else the first readings of a station would go to whoever is there first.
    while cluster.get_active_node_count(Role::Proxy) < cluster.get_node_count(Role::Proxy) {
        cluster.turn(&mut (), None)?;
    }
    let station = cluster.node().ok_or("no node of the layout")?.to_string();
    let mut next = clock::monotonic();
    for reading in 0_u32.. {
        next += MEASURE_EVERY;
        while clock::monotonic() < next {
            cluster.turn(&mut (), Some(next))?;
        }
        let degrees = 20.0 + f64::from(reading % 10);
        let event = READING.event(vec![station.as_str().into(), degrees.into()])?;
        cluster
            .publish_hrw(PROXY_POOL, station.as_str(), &event)
            .or_report();
    }
    Ok(())
}

/// Sums up what each station measured.
#[derive(Default)]
struct Aggregator {
    stations: BTreeMap<String, (u32, f64)>,
}

impl Handler for Aggregator {
    fn event(&mut self, cluster: &mut Cluster, event: &Received<'_>) {
        let (Some(station), Some(degrees)) = (text(event.arg(0)), number(event.arg(1))) else {
            return;
        };
        let (readings, sum) = self.stations.entry(station.to_owned()).or_default();
        (*readings, *sum) = (*readings + 1, *sum + degrees);
        if *readings == READINGS_A_SUMMARY {
            let mean = *sum / f64::from(READINGS_A_SUMMARY);
            (*readings, *sum) = (0, 0.0);
            let count = u64::from(READINGS_A_SUMMARY);
            let args = vec![station.into(), count.into(), mean.into()];
            let summary = cluster.make_event(&SUMMARY, args);
            cluster.publish_rr(LOGGER_POOL, "", &summary).or_report();
        }
    }
}

/// Keeps summaries in a file of its directory.
struct Archive;

impl Handler for Archive {
    fn event(&mut self, _: &mut Cluster, event: &Received<'_>) {
        if let (Some(station), Some(mean)) = (text(event.arg(0)), number(event.arg(2))) {
            let file = OpenOptions::new().create(true).append(true).open("archive");
            let written = file.and_then(|mut file| writeln!(file, "{station} {mean}"));
            if let Err(error) = written {
                eprintln!("cannot archive: {error}");
            }
        }
    }
}

fn text(view: Option<View<'_>>) -> Option<&str> {
    view?.as_str()
}

fn number(view: Option<View<'_>>) -> Option<f64> {
    if let Parts::Real(number) = view?.parts() {
        Some(number)
    } else {
        None
    }
}
