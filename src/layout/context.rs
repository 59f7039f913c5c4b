//! What every step of reading a layout needs: the report, the machine, and the defaults.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::host::Host;
use super::raw::{RawLayout, RawPolicy, RawRestart, RawWatchdog};
use super::report::Report;
use super::running::Running;
use super::spec::{Budget, Identity, LifePolicy, RestartPolicy, Watchdog, WatchdogAction};
use super::values::{OrOff, Period, PeriodOrOff};
use super::{signals, suggest};

/// A socket's path has room for so many bytes (108 with the zero).
const SOCKET_BYTES_MAX: usize = 107;

/// What a watchdog does where the layout asks for one and says no more.
const WATCHDOG: Watchdog = Watchdog {
    stale_after: Duration::from_secs(10),
    action: WatchdogAction::Report,
};

/// No period of `Every` is shorter: births of a program that ends at once would be all the host does.
const EVERY_MIN: Duration = Duration::from_millis(100);

/// Carried through all steps of [`super::read`] and [`super::read_more`].
pub(super) struct Context<'a> {
    pub(super) report: Report,
    pub(super) host: &'a dyn Host,
    /// Relative paths start here.
    pub(super) base: PathBuf,
    pub(super) run_dir: PathBuf,
    pub(super) effective_uid: u32,
    pub(super) online: BTreeSet<u32>,
    pub(super) life: LifePolicy,
    /// The watchdog of built-in roles that have none of their own.
    pub(super) watchdog: Option<Watchdog>,
    /// What the new nodes join.
    pub(super) running: Running<'a>,
    programs: HashMap<String, Result<(), String>>,
    identities: HashMap<(String, Option<String>), Result<Identity, String>>,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("base", &self.base)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(report: Report, host: &'a dyn Host, base: PathBuf, run_dir: PathBuf) -> Self {
        Self {
            report,
            host,
            base,
            run_dir,
            effective_uid: host.effective_uid(),
            online: host.processors().into_iter().collect(),
            life: LifePolicy::default(),
            watchdog: None,
            running: Running::default(),
            programs: HashMap::new(),
            identities: HashMap::new(),
        }
    }

    /// Takes the defaults for all nodes from the top of the layout.
    pub(super) fn take_defaults(&mut self, raw: &RawLayout) {
        let words = LifeWords {
            restart: &raw.restart,
            signal: raw.stop.signal.as_deref(),
            grace: raw.stop.grace,
            ready_timeout: raw.ready_timeout,
        };
        self.life = self.life_policy(&words, &[]);
        if let Some(words) = &raw.watchdog {
            self.watchdog = self.watchdog_of(words, &["watchdog"]);
        }
    }

    /// The default policy with an entry's words on top.
    pub(super) fn life_policy(&mut self, words: &LifeWords<'_>, under: &[&str]) -> LifePolicy {
        let mut life = self.life.clone();
        let restart = words.restart;
        if let Some(policy) = restart.policy {
            life.restart = match policy {
                RawPolicy::Always => RestartPolicy::Always,
                RawPolicy::OnFailure => RestartPolicy::OnFailure,
                RawPolicy::Never => RestartPolicy::Never,
                RawPolicy::Finish => RestartPolicy::Finish,
                RawPolicy::Every(Period(period)) => RestartPolicy::Every(period),
            };
        }
        for (from, to) in [
            (restart.floor, &mut life.floor),
            (restart.ceiling, &mut life.ceiling),
            (restart.quick_after, &mut life.quick_after),
            (restart.stable_after, &mut life.stable_after),
            (words.grace, &mut life.stop_grace),
        ] {
            if let Some(Period(period)) = from {
                *to = period;
            }
        }
        match &restart.give_up {
            None => {}
            Some(OrOff::Off) => life.give_up = None,
            Some(OrOff::On(budget)) => {
                life.give_up = Some(Budget {
                    deaths: budget.deaths,
                    within: budget.within.0,
                });
            }
        }
        if let Some(PeriodOrOff(period)) = words.ready_timeout {
            life.ready_timeout = period;
        }
        if let Some(word) = words.signal {
            life.stop_signal = self.signal(word, under).unwrap_or(life.stop_signal);
        }
        self.check_life(&life, restart, under);
        life
    }

    /// Checks what these words change; what they leave is checked where it was written.
    fn check_life(&mut self, life: &LifePolicy, words: &RawRestart, under: &[&str]) {
        let path = |word| [under, &["restart", word]].concat();
        if words.floor.or(words.ceiling).is_some() && life.ceiling < life.floor {
            self.report.error(
                &path("ceiling"),
                format!(
                    "the ceiling {:?} is below the floor {:?}",
                    life.ceiling, life.floor
                ),
                "raise the ceiling or lower the floor",
            );
        }
        let budget = life.give_up.filter(|_| words.give_up.is_some());
        if budget.is_some_and(|b| b.deaths == 0 || b.within.is_zero()) {
            let hint = "count from one death in some time, or write give_up: \"off\"";
            self.report.error(
                &path("give_up"),
                "it would give up before the first death",
                hint,
            );
        }
        if words.policy.is_some()
            && matches!(life.restart, RestartPolicy::Every(period) if period < EVERY_MIN)
        {
            let hint = "write \"100ms\" or more, as in Every(\"10s\"), or use Always";
            self.report
                .error(&path("policy"), "so short a period is no pause", hint);
        }
        let changed = words.policy.is_some() || words.floor.is_some() || words.give_up.is_some();
        if changed && life.floor.is_zero() && never_rests(life) {
            let hint = "give it a floor, as in floor: \"250ms\", or a give_up";
            self.report.warning(
                &path("floor"),
                "a program that ends at once is started again without pause",
                hint,
            );
        }
    }

    fn signal(&mut self, word: &str, under: &[&str]) -> Option<i32> {
        let number = signals::number(word);
        if number.is_none() {
            let path = [under, &["stop", "signal"]].concat();
            let hint = suggest::hint(word.trim_start_matches("SIG"), signals::names());
            self.report
                .error(&path, format!("\"{word}\" is no signal"), &hint);
        }
        number
    }

    /// The default watchdog with an entry's words on top; `None`: they say that there is none.
    pub(super) fn watchdog_of(
        &mut self,
        words: &OrOff<RawWatchdog>,
        under: &[&str],
    ) -> Option<Watchdog> {
        let OrOff::On(raw) = words else {
            return None;
        };
        let default = self.watchdog.unwrap_or(WATCHDOG);
        let watchdog = Watchdog {
            stale_after: raw.stale_after.map_or(default.stale_after, |p| p.0),
            action: raw.action.unwrap_or(default.action),
        };
        if raw.stale_after.is_some() && watchdog.stale_after < Duration::from_secs(1) {
            let path = [under, &["stale_after"]].concat();
            let hint = "use \"1s\" or more; a busy machine is late now and then";
            self.report
                .error(&path, "so short a silence says nothing", hint);
        }
        Some(watchdog)
    }

    /// A path of the layout, absolute.
    pub(super) fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path)
    }

    /// A command's words with its program made absolute, where it is a relative path.
    pub(super) fn command(&self, mut words: Vec<String>) -> Vec<String> {
        if let Some(first) = words.first_mut()
            && first.contains('/')
            && !first.starts_with('/')
        {
            *first = self
                .base
                .join(first.trim_start_matches("./"))
                .to_string_lossy()
                .into_owned();
        }
        words
    }

    /// Is the command's program there, and can its words be passed on? If not, that is reported.
    pub(super) fn check_command(&mut self, words: &[String], path: &[&str]) -> bool {
        if let Some(at) = words.iter().position(|word| word.contains('\0')) {
            let message = format!("word {at} holds a zero byte");
            self.report.error(path, message, "take it away");
            return false;
        }
        let Some(program) = words.first().filter(|word| !word.is_empty()) else {
            let hint = "write [\"program\", \"argument\"]";
            self.report.error(path, "no program is named", hint);
            return false;
        };
        let host = self.host;
        let found = self
            .programs
            .entry(program.clone())
            .or_insert_with(|| host.program(program));
        let Err(reason) = found else {
            return true;
        };
        let message = format!("the program \"{program}\" cannot be run: {reason}");
        let hint = "install it, or write its path; a relative path starts at the layout";
        self.report.error(path, message, hint);
        false
    }

    /// Looks up a user, once.
    pub(super) fn identity(&mut self, user: &str, group: Option<&str>) -> Result<Identity, String> {
        let host = self.host;
        self.identities
            .entry((user.to_owned(), group.map(str::to_owned)))
            .or_insert_with(|| host.identity(user, group))
            .clone()
    }

    /// Does a socket's path fit? False where it does not, and that is reported.
    pub(super) fn check_socket(&mut self, socket: &Path, path: &[&str]) -> bool {
        let bytes = socket.as_os_str().len();
        if bytes <= SOCKET_BYTES_MAX {
            return true;
        }
        let message = format!(
            "the socket {} has a path of {bytes} bytes, {} more than the system takes",
            socket.display(),
            bytes - SOCKET_BYTES_MAX
        );
        let hint = "choose a shorter run directory, with --run-dir or run_dir";
        self.report.error(path, message, hint);
        false
    }
}

/// Is it born again for ever, however often it dies? A delay is of no concern here.
fn never_rests(life: &LifePolicy) -> bool {
    life.give_up.is_none() && life.restart != RestartPolicy::Never
}

/// The words of an entry, or of the top, that make up a [`LifePolicy`].
pub(super) struct LifeWords<'r> {
    pub(super) restart: &'r RawRestart,
    pub(super) signal: Option<&'r str>,
    pub(super) grace: Option<Period>,
    pub(super) ready_timeout: Option<PeriodOrOff>,
}
