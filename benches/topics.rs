//! What it costs to find who wants a topic that one of 10, 1,000 and 100,000 subscriptions matches.
//! `README.md` beside this file says what the figures mean. Ends with 1 if the bar is missed.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures time and prints what it has measured"
)]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use cluster::topic::PrefixTree;

const SIZES: [usize; 3] = [10, 1_000, 100_000];

/// The most that a publish among the most subscriptions may cost, as a multiple of one among the fewest.
const BAR: f64 = 1.5;

/// The best of so many rounds counts; the sizes take turns in each.
const ROUNDS: usize = 25;

const LOOKUPS: usize = 200_000;

/// A kind of subscriptions.
struct Shape {
    name: &'static str,
    topic: fn(usize) -> String,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "node topics: zeek/cluster/node/worker-N/",
        topic: |n| format!("zeek/cluster/node/worker-{n}/"),
    },
    Shape {
        name: "node ids: zeek/cluster/nodeid/UUID/",
        topic: |n| format!("zeek/cluster/nodeid/{}/", node_id(n)),
    },
    Shape {
        name: "no separator at the end: zeek/cluster/site-N-east",
        topic: |n| format!("zeek/cluster/site-{n}-east"),
    },
];

/// Which topics are asked for.
#[derive(Clone, Copy)]
enum Asked {
    /// Always the one in the middle.
    Same,
    /// All, in no order: most of what is touched was in no cache.
    Random,
}

fn main() -> ExitCode {
    let mut missed = false;
    for shape in SHAPES {
        println!("{}", shape.name);
        for (word, asked) in [
            ("the same topic", Asked::Same),
            ("random topics", Asked::Random),
        ] {
            let best = measure(shape.topic, asked);
            let [fewest, .., most] = best;
            let ratio = most / fewest;
            let has_bar = matches!(asked, Asked::Same);
            missed |= has_bar && ratio > BAR;
            let figures: Vec<String> = SIZES
                .iter()
                .zip(best)
                .map(|(size, ns)| format!("{size:>7}: {ns:6.1} ns"))
                .collect();
            let bar = if has_bar {
                format!(", bar {BAR}")
            } else {
                String::new()
            };
            println!("  {word:<15} {}   x {ratio:.2}{bar}", figures.join(" "));
        }
    }
    if missed {
        println!("a bar was missed");
    }
    ExitCode::from(u8::from(missed))
}

/// Nanoseconds for a look-up, for each size.
fn measure(topic: fn(usize) -> String, asked: Asked) -> [f64; SIZES.len()] {
    let cases = SIZES.map(|size| Case::new(size, topic, asked));
    let mut best = [f64::INFINITY; SIZES.len()];
    for _ in 0..ROUNDS {
        for (case, best) in cases.iter().zip(&mut best) {
            *best = best.min(case.round());
        }
    }
    best
}

struct Case {
    tree: PrefixTree<u32>,
    topics: Vec<String>,
}

impl Case {
    fn new(size: usize, topic: fn(usize) -> String, asked: Asked) -> Self {
        let mut tree = PrefixTree::new(1);
        for (number, index) in (0u32..).zip(0..size) {
            tree.insert(topic(index).as_bytes(), number);
        }
        let topics = match asked {
            Asked::Same => vec![topic(size / 2)],
            Asked::Random => {
                let mut order: Vec<usize> = (0..size).collect();
                order.sort_by_key(|index| mix(*index as u64));
                order.into_iter().map(topic).collect()
            }
        };
        Self { tree, topics }
    }

    /// Nanoseconds for each of [`LOOKUPS`] look-ups.
    fn round(&self) -> f64 {
        let mut found = 0;
        let start = Instant::now();
        for topic in self.topics.iter().cycle().take(LOOKUPS) {
            let topic = black_box(topic.as_bytes());
            self.tree.for_each_match(topic, |value| {
                black_box(value);
                found += 1;
            });
        }
        let passed = start.elapsed();
        assert_eq!(found, LOOKUPS, "each topic matches one subscription");
        passed.as_secs_f64() * 1e9 / LOOKUPS as f64
    }
}

/// Something of the shape of a UUID.
fn node_id(n: usize) -> String {
    let (high, low) = (mix(n as u64), mix(!(n as u64)));
    let groups = [high >> 32, high >> 16 & 0xffff, high & 0xffff, low >> 48];
    let [a, b, c, d] = groups;
    let e = low & 0xffff_ffff_ffff;
    format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

/// Spreads numbers (the last steps of `SplitMix64`).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
