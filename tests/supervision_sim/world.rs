//! The world: a kernel with processes, and a stem's loop around a real [`Fleet`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cluster::layout::spec::{LifePolicy, StageSpec};
use cluster::names::{Incarnation, NodeName};
use cluster::supervise::child::{Ending, State};
use cluster::supervise::fleet::{Action, Change, Fleet};
use cluster::sys::clock;

use crate::check::Gates;
use crate::plan;
use crate::stories::{Dice, TICK};

/// The loop may wake this late; the checker allows for it.
pub(crate) const LATENESS_MAX: Duration = Duration::from_millis(30);

/// A driver that is broken on purpose, to show that the checker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every seventh end of a process is not told.
    LosesEnds,
    /// A process is believed dead as soon as SIGTERM is sent.
    BelievesSigterm,
    /// Two processes are made at one birth.
    BearsTwice,
    /// A process is made for somebody whose stage waits.
    BearsTheWaiting,
    /// SIGKILL is not sent.
    DropsKills,
    /// Signals go to everybody who is to stop, in no order.
    IgnoresTheOrder,
    /// Deadlines are only looked at when something else happens.
    OversleepsDeadlines,
    /// Every fifth report is lost.
    LosesReports,
    /// A new stem is told nothing of the past.
    ForgetsThePast,
    /// A new stem is told to start those that rested, too.
    StartsTheResting,
}

#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Ready(i32),
    Ends(i32, Ending),
    Operator,
    StemDies,
    Calm,
    Hurry,
    Wake,
}

/// A process, with what the checker notes of it.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: NodeName,
    pub(crate) deaf: bool,
    pub(crate) wedged: bool,
    pub(crate) ready_at: Option<Instant>,
    pub(crate) asked: bool,
    /// It must be ready, or asked to end, by then.
    pub(crate) ready_by: Option<Instant>,
    /// SIGKILL must have come by then.
    pub(crate) kill_by: Option<Instant>,
}

/// The end of a process that nobody asked for, for as long as its delay is of interest.
#[derive(Debug)]
pub(crate) struct Crash {
    pub(crate) at: Instant,
    pub(crate) was_ready: Option<Duration>,
    pub(crate) ending: Ending,
}

/// What the supervisor knows of a child, with what the checker notes of it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) stage: u16,
    pub(crate) policy: LifePolicy,
    pub(crate) wanted: bool,
    pub(crate) forget: bool,
    pub(crate) told: Option<Change>,
    /// The longest grace that it may be given.
    pub(crate) grace: Duration,
    /// An order came in this turn.
    pub(crate) ordered: bool,
    /// It was let through its stage's gate and has not rested since.
    pub(crate) entered: bool,
    pub(crate) crash: Option<Crash>,
    pub(crate) pending_since: Option<Instant>,
    /// At the end of the last turn.
    pub(crate) state: State,
    pub(crate) next: Option<Instant>,
    pub(crate) well_since_calm: bool,
}

#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) deadline: Instant,
    /// How many lived when the deadline passed.
    pub(crate) left: Option<u32>,
}

/// How often what happened; shows that the worlds are wild enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) turns: u64,
    pub(crate) births: u64,
    pub(crate) refused: u64,
    pub(crate) ends: u64,
    pub(crate) signals: u64,
    pub(crate) kills: u64,
    pub(crate) late_stages: u64,
    pub(crate) given_up: u64,
    pub(crate) finished: u64,
    pub(crate) forgotten: u64,
    pub(crate) stem_deaths: u64,
    pub(crate) shutdowns: u64,
    pub(crate) killed_at_the_end: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.turns += other.turns;
        self.births += other.births;
        self.refused += other.refused;
        self.ends += other.ends;
        self.signals += other.signals;
        self.kills += other.kills;
        self.late_stages += other.late_stages;
        self.given_up += other.given_up;
        self.finished += other.finished;
        self.forgotten += other.forgotten;
        self.stem_deaths += other.stem_deaths;
        self.shutdowns += other.shutdowns;
        self.killed_at_the_end += other.killed_at_the_end;
    }

    /// Did everything that can happen happen often?
    pub(crate) fn is_wild(&self) -> bool {
        let rarest = [
            self.turns,
            self.births,
            self.refused,
            self.ends,
            self.signals,
            self.kills,
            self.late_stages,
            self.given_up,
            self.finished,
            self.forgotten,
            self.stem_deaths,
            self.shutdowns,
            self.killed_at_the_end,
        ];
        rarest.iter().all(|count| *count > 50)
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dice: Dice,
    pub(crate) fault: Option<Fault>,
    pub(crate) fleet: Fleet,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) agenda: BTreeMap<(Instant, u64), Happening>,
    pub(crate) tickets: u64,
    pub(crate) processes: BTreeMap<i32, Process>,
    pub(crate) last_pid: i32,
    pub(crate) names: Vec<NodeName>,
    pub(crate) known: BTreeMap<NodeName, Known>,
    /// The last incarnation of each name that was ever born.
    pub(crate) incarnations: BTreeMap<NodeName, Incarnation>,
    pub(crate) specs: Vec<StageSpec>,
    pub(crate) gates: Gates,
    pub(crate) calm: Option<Instant>,
    pub(crate) closing: Option<Closing>,
    /// The stem died while it was to stop everything: nothing is left to be looked at.
    pub(crate) over: bool,
    pub(crate) out: Vec<Action>,
    /// Turns in a row in which nothing happened and no time passed.
    pub(crate) idle_turns: u32,
    pub(crate) tally: Tally,
    pub(crate) trace: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(seed: u64, fault: Option<Fault>, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let count = match dice.number(0, 19) {
            0 => dice.number(10, 40),
            1..=8 => dice.number(5, 12),
            _ => dice.number(1, 6),
        };
        let start = clock::monotonic();
        let mut world = Self {
            fleet: Fleet::new(dice.next()),
            fault,
            start,
            now: start,
            agenda: BTreeMap::new(),
            tickets: 0,
            processes: BTreeMap::new(),
            last_pid: 100,
            names: (1..=count)
                .filter_map(|n| NodeName::parse(&format!("n{n}")).ok())
                .collect(),
            known: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            specs: plan::stages(&mut dice),
            gates: Gates::default(),
            calm: None,
            closing: None,
            over: false,
            out: Vec::new(),
            idle_turns: 0,
            tally: Tally::default(),
            trace: traced.then(Vec::new),
            dice,
        };
        world.arrange();
        world
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.now - self.start;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>8} ms  {}", at.as_millis(), text()));
        }
    }

    pub(crate) fn plan(&mut self, at: Instant, what: Happening) {
        self.tickets += 1;
        self.agenda.insert((at, self.tickets), what);
    }

    /// One turn of the stem's loop. False: nothing will ever happen again.
    pub(crate) fn turn(&mut self) -> Result<bool, String> {
        let deadline = self.fleet.next_deadline();
        if deadline.is_some_and(|at| at < self.now) {
            return Err("a deadline was left behind in the past".to_owned());
        }
        let oversleeps = self.fault == Some(Fault::OversleepsDeadlines);
        let event = self.agenda.keys().next().map(|(at, _)| *at);
        let Some(next) = deadline
            .filter(|_| !oversleeps)
            .into_iter()
            .chain(event)
            .min()
        else {
            return Ok(false);
        };
        let late = if self.dice.chance(30) {
            self.dice.ticks(0, 3)
        } else {
            Duration::ZERO
        };
        let before = self.now;
        self.now = next.max(self.now) + late;
        self.tally.turns += 1;
        let mut happened = Vec::new();
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            happened.push(entry.remove());
        }
        self.idle_turns = if happened.is_empty() && self.now == before {
            self.idle_turns + 1
        } else {
            0
        };
        self.dice.shuffle(&mut happened);
        let stem_dies = happened.iter().any(|h| matches!(h, Happening::StemDies));
        let mut gone = BTreeMap::new();
        for happening in happened {
            self.handle(happening, &mut gone)?;
        }
        self.end_turn()?;
        if stem_dies {
            self.revive_stem();
        }
        Ok(true)
    }

    fn end_turn(&mut self) -> Result<(), String> {
        let left = u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        if let Some(closing) = &mut self.closing
            && self.now >= closing.deadline
        {
            closing.left.get_or_insert(left);
        }
        self.fleet.run_deadlines(self.now, &mut self.out);
        self.obey()?;
        self.settle()?;
        self.births()?;
        self.settle()?;
        self.check_turn()
    }

    fn settle(&mut self) -> Result<(), String> {
        self.fleet.settle(self.now, &mut self.out);
        self.obey()?;
        self.follow_gates();
        Ok(())
    }

    fn handle(
        &mut self,
        happening: Happening,
        gone: &mut BTreeMap<i32, NodeName>,
    ) -> Result<(), String> {
        match happening {
            Happening::Ready(pid) => {
                let name = match self.processes.get_mut(&pid) {
                    Some(process) => {
                        process.ready_at.get_or_insert(self.now);
                        process.name.clone()
                    }
                    None => match gone.get(&pid) {
                        Some(name) => name.clone(), // its word is read after its end
                        None => return Ok(()),
                    },
                };
                self.note(|| format!("{name} pid {pid} says that it is ready"));
                self.fleet.ready(&name, self.now);
                if self.dice.chance(10) {
                    self.fleet.ready(&name, self.now);
                }
            }
            Happening::Ends(pid, ending) => {
                if let Some(name) = self.end(pid, ending) {
                    gone.insert(pid, name);
                }
            }
            Happening::Operator => self.operate()?,
            Happening::Calm => self.calm_down(),
            Happening::Hurry => self.shut_down(),
            Happening::StemDies | Happening::Wake => {}
        }
        Ok(())
    }

    fn end(&mut self, pid: i32, ending: Ending) -> Option<NodeName> {
        let process = self.processes.remove(&pid)?;
        let name = process.name;
        self.tally.ends += 1;
        self.note(|| format!("{name} pid {pid} ends: {ending}"));
        if let Some(known) = self.known.get_mut(&name) {
            known.crash = (!process.asked).then(|| Crash {
                at: self.now,
                was_ready: process.ready_at.map(|at| self.now - at),
                ending,
            });
        }
        if self.fault == Some(Fault::LosesEnds) && self.tally.ends.is_multiple_of(7) {
            return Some(name);
        }
        self.fleet.exited(&name, ending, self.now);
        Some(name)
    }

    fn births(&mut self) -> Result<(), String> {
        let mut held = BTreeSet::new();
        if self.fault == Some(Fault::BearsTheWaiting) {
            let waits = |(_, known): &(&NodeName, &Known)| known.state == State::Pending;
            if let Some((name, _)) = self.known.iter().find(waits) {
                let name = name.clone();
                self.bear(&name);
            }
        }
        while let Some(name) = self.fleet.next_due(|name| held.contains(name)).cloned() {
            if self.dice.chance(3) {
                // The descriptors of its last life are still in use; it has to wait.
                held.insert(name);
                self.plan(self.now + TICK, Happening::Wake);
                continue;
            }
            self.check_birth(&name)?;
            if self.calm.is_none() && self.dice.chance(12) {
                self.tally.refused += 1;
                self.note(|| format!("{name} cannot be born"));
                self.fleet.born(&name, Err(11), self.now);
                if let Some(known) = self.known.get_mut(&name) {
                    known.crash = Some(Crash {
                        at: self.now,
                        was_ready: None,
                        ending: Ending::NotBorn(11),
                    });
                }
                if self.fleet.child(&name).is_some_and(|child| child.is_due()) {
                    return Err(format!("{name} is due again in the turn that refused it"));
                }
                continue;
            }
            self.fleet.born(&name, Ok(()), self.now);
            self.bear(&name);
            if self.fault == Some(Fault::BearsTwice) {
                self.bear(&name);
            }
        }
        Ok(())
    }

    fn bear(&mut self, name: &NodeName) {
        let Some(known) = self.known.get_mut(name) else {
            return;
        };
        known.grace = known.policy.stop_grace;
        let ready_by = known.policy.ready_timeout.map(|limit| self.now + limit);
        let fate = match self.calm {
            Some(_) => plan::friendly_fate(&mut self.dice, known.policy.restart),
            None => plan::wild_fate(&mut self.dice),
        };
        self.last_pid += 1;
        let pid = self.last_pid;
        self.tally.births += 1;
        self.note(|| format!("{name} is born as pid {pid}: {fate:?}"));
        if let Some(after) = fate.ready {
            self.plan(self.now + after, Happening::Ready(pid));
        }
        if let Some((after, ending)) = fate.end {
            self.plan(self.now + after, Happening::Ends(pid, ending));
        }
        let process = Process {
            name: name.clone(),
            deaf: fate.deaf,
            wedged: fate.wedged,
            ready_at: None,
            asked: false,
            ready_by,
            kill_by: None,
        };
        self.processes.insert(pid, process);
    }

    /// From now on everybody gets ready and nobody ends unasked.
    fn calm_down(&mut self) {
        self.note(|| "the world becomes friendly".to_owned());
        self.calm = Some(self.now);
        let pids: Vec<i32> = self.processes.keys().copied().collect();
        for pid in pids {
            self.plan(self.now + TICK, Happening::Ready(pid));
        }
    }
}
