//! Requests that wait for an answer.
//!
//! A request of a client may need *parts*: one question to each of several instances. A part lives
//! and dies with its parent; when the last one has answered, the parent is complete. A request that
//! is not complete at its deadline expires with what has been answered until then.
//!
//! Bounded: [`OPEN_MAX`] requests, parts included, and [`RESULTS_MAX`] results for each; beyond
//! that the newest is refused.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use super::types::{ApiResult, ResultVec};

/// So many requests may be open, parts included. Full: the new one is refused.
pub const OPEN_MAX: usize = 1024;

/// So many results one request takes. Full: the answer is refused.
pub const RESULTS_MAX: usize = 16 * 1024;

/// The longest identifier a client may choose, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// The words of an expired request's answer.
pub const TIMED_OUT: &str = "request timed out";

/// Names a request: chosen by the client, or by the controller for what it asks itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Borrow<str> for RequestId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes identifiers of eleven letters and digits. One source never repeats itself.
#[derive(Clone, Debug)]
pub struct IdSource {
    counter: u64,
}

impl IdSource {
    const ALPHABET: [u8; 62] = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// Sixty-two to the power of this is the first beyond 64 bits.
    const CHARACTERS: usize = 11;

    /// A source; the same seed gives the same identifiers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { counter: seed }
    }

    /// The next identifier.
    pub fn next_id(&mut self) -> RequestId {
        // The steps of splitmix64. Each of them can be undone, so different counters give
        // different numbers, and different numbers give different texts.
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.counter;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        let mut text = String::with_capacity(Self::CHARACTERS);
        for _ in 0..Self::CHARACTERS {
            let digit = usize::try_from(bits % 62).unwrap_or_default();
            text.push(char::from(
                Self::ALPHABET.get(digit).copied().unwrap_or(b'0'),
            ));
            bits /= 62;
        }
        RequestId(text.into())
    }
}

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A new configuration. Only one at a time.
    Configuration,
    /// A question that changes nothing.
    Query,
    /// A request that is only there to expire.
    TestTimeout,
}

/// Why the table refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Another configuration is under way. The words are those of the API.
    #[error("request {pending} still pending")]
    Pending {
        /// Its request.
        pending: RequestId,
    },
    /// [`OPEN_MAX`].
    #[error("{OPEN_MAX} requests are open already; ask again when some are answered")]
    Full,
    /// [`RESULTS_MAX`].
    #[error("request {id} has {RESULTS_MAX} results already, no more are taken")]
    TooManyResults {
        /// The request.
        id: RequestId,
    },
    /// A client chose an identifier that is in use.
    #[error("request {id} is open already; choose another identifier")]
    Duplicate {
        /// The identifier.
        id: RequestId,
    },
    /// A client chose an identifier that is empty or too long.
    #[error("a request's identifier has {bytes} bytes; give it 1 to {ID_BYTES_MAX}")]
    BadId {
        /// Its length.
        bytes: usize,
    },
    /// Answered, expired, or never asked.
    #[error("request {id} is not open; its answer came late or twice")]
    NotOpen {
        /// The identifier.
        id: String,
    },
    /// Parts have no parts, and a request has no parts twice over.
    #[error(
        "request {id} is a part of another or waits for parts already; it takes no further ones"
    )]
    NoParts {
        /// The identifier.
        id: RequestId,
    },
    /// A request waits for its parts; the last of them completes it.
    #[error("request {id} waits for {open} parts; answer those")]
    WaitsForParts {
        /// The identifier.
        id: RequestId,
        /// How many have not answered.
        open: usize,
    },
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    kind: Kind,
    deadline: Instant,
    results: ResultVec,
    part_of: Option<(RequestId, String)>,
    open_parts: BTreeSet<RequestId>,
}

impl Request {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// When it expires.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What has been answered so far.
    #[must_use]
    pub fn results(&self) -> &[ApiResult] {
        &self.results
    }

    /// The request it is a part of.
    #[must_use]
    pub fn parent(&self) -> Option<&RequestId> {
        self.part_of.as_ref().map(|(parent, _)| parent)
    }

    /// The instance a part was put to.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.part_of.as_ref().map(|(_, instance)| instance.as_str())
    }
}

/// A request that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub id: RequestId,
    /// What it was about.
    pub kind: Kind,
    /// The answers, in the order in which they came.
    pub results: ResultVec,
}

/// A request whose deadline passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which.
    pub id: RequestId,
    /// What it was about.
    pub kind: Kind,
    /// What was answered in time, and after it the failure that says so.
    pub results: ResultVec,
    /// The instances that did not answer, by name.
    pub silent: Vec<String>,
}

/// All requests that wait.
#[derive(Clone, Debug)]
pub struct RequestTable {
    lifetime: Duration,
    ids: IdSource,
    open: BTreeMap<RequestId, Request>,
    /// Requests that are no parts, by deadline.
    deadlines: BTreeSet<(Instant, RequestId)>,
}

impl RequestTable {
    /// An empty table whose requests live this long.
    #[must_use]
    pub fn new(lifetime: Duration, ids: IdSource) -> Self {
        Self {
            lifetime,
            ids,
            open: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// A client's request begins.
    ///
    /// # Errors
    /// The identifier cannot stand, a configuration is under way already, or the table is full.
    pub fn open(&mut self, id: RequestId, kind: Kind, now: Instant) -> Result<(), RequestError> {
        if id.as_str().is_empty() || id.as_str().len() > ID_BYTES_MAX {
            return Err(RequestError::BadId {
                bytes: id.as_str().len(),
            });
        }
        if self.open.contains_key(&id) {
            return Err(RequestError::Duplicate { id });
        }
        if kind == Kind::Configuration
            && let Some(pending) = self.pending_configuration()
        {
            return Err(RequestError::Pending {
                pending: pending.clone(),
            });
        }
        if self.open.len() >= OPEN_MAX {
            return Err(RequestError::Full);
        }
        let deadline = now + self.lifetime;
        self.deadlines.insert((deadline, id.clone()));
        let request = Request {
            kind,
            deadline,
            results: Vec::new(),
            part_of: None,
            open_parts: BTreeSet::new(),
        };
        self.open.insert(id, request);
        Ok(())
    }

    /// The controller's own request begins.
    ///
    /// # Errors
    /// As for [`RequestTable::open`].
    pub fn open_own(&mut self, kind: Kind, now: Instant) -> Result<RequestId, RequestError> {
        let id = self.fresh_id();
        self.open(id.clone(), kind, now)?;
        Ok(id)
    }

    /// Puts one part of a request to each of these instances: all of them, or on error none. The
    /// answer is the parts' identifiers in the same order.
    ///
    /// # Errors
    /// The request is not open, is a part itself, waits for parts already, or the table is full.
    pub fn open_parts(
        &mut self,
        parent: &RequestId,
        instances: &[String],
    ) -> Result<Vec<RequestId>, RequestError> {
        let request = self.open.get(parent).ok_or_else(|| not_open(parent))?;
        if request.part_of.is_some() || !request.open_parts.is_empty() {
            return Err(RequestError::NoParts { id: parent.clone() });
        }
        if self.open.len().saturating_add(instances.len()) > OPEN_MAX {
            return Err(RequestError::Full);
        }
        let (kind, deadline) = (request.kind, request.deadline);
        let mut ids = Vec::with_capacity(instances.len());
        for instance in instances {
            let id = self.fresh_id();
            let part = Request {
                kind,
                deadline,
                results: Vec::new(),
                part_of: Some((parent.clone(), instance.clone())),
                open_parts: BTreeSet::new(),
            };
            self.open.insert(id.clone(), part);
            ids.push(id);
        }
        if let Some(request) = self.open.get_mut(parent) {
            request.open_parts.extend(ids.iter().cloned());
        }
        Ok(ids)
    }

    /// Takes one result; the request goes on waiting.
    ///
    /// # Errors
    /// The request is not open, or has [`RESULTS_MAX`] results.
    pub fn add_result(&mut self, id: &RequestId, result: ApiResult) -> Result<(), RequestError> {
        let request = self.open.get_mut(id).ok_or_else(|| not_open(id))?;
        if request.results.len() >= RESULTS_MAX {
            return Err(RequestError::TooManyResults { id: id.clone() });
        }
        request.results.push(result);
        Ok(())
    }

    /// The request has all its results. Those of a part go to its parent, which comes back complete
    /// when this was the last one; a request without parts comes back at once. What a parent has no
    /// room for any more is dropped.
    ///
    /// # Errors
    /// The request is not open, or waits for its parts.
    pub fn finish(&mut self, id: &RequestId) -> Result<Option<Finished>, RequestError> {
        let request = self.open.get(id).ok_or_else(|| not_open(id))?;
        if !request.open_parts.is_empty() {
            return Err(RequestError::WaitsForParts {
                id: id.clone(),
                open: request.open_parts.len(),
            });
        }
        let Some(parent) = request.parent().cloned() else {
            return Ok(self.take(id).map(|(finished, _)| finished));
        };
        let results = self
            .open
            .remove(id)
            .map(|part| part.results)
            .unwrap_or_default();
        let complete = self.open.get_mut(&parent).is_some_and(|request| {
            let room = RESULTS_MAX.saturating_sub(request.results.len());
            request.results.extend(results.into_iter().take(room));
            request.open_parts.remove(id);
            request.open_parts.is_empty()
        });
        Ok(complete
            .then(|| self.take(&parent))
            .flatten()
            .map(|(finished, _)| finished))
    }

    /// Takes out what is due, the earliest first.
    #[must_use]
    pub fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let mut expired = Vec::new();
        while let Some((deadline, id)) = self.deadlines.first().cloned() {
            if deadline > now {
                break;
            }
            let Some((finished, silent)) = self.take(&id) else {
                // Never so: both are inserted and removed together. It must not loop, though.
                self.deadlines.remove(&(deadline, id));
                continue;
            };
            let mut results = finished.results;
            results.push(ApiResult::failed(id.as_str(), TIMED_OUT));
            expired.push(Expired {
                id,
                kind: finished.kind,
                results,
                silent,
            });
        }
        expired
    }

    /// When [`RequestTable::expire`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// An open request.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Request> {
        self.open.get(id)
    }

    /// The request for a new configuration that is under way.
    #[must_use]
    pub fn pending_configuration(&self) -> Option<&RequestId> {
        self.deadlines.iter().map(|(_, id)| id).find(|id| {
            self.open
                .get(*id)
                .is_some_and(|request| request.kind == Kind::Configuration)
        })
    }

    /// How many are open, parts included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Is none open?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Removes a request that is no part, with its parts; tells which instances they were put to.
    fn take(&mut self, id: &RequestId) -> Option<(Finished, Vec<String>)> {
        let request = self.open.remove(id)?;
        self.deadlines.remove(&(request.deadline, id.clone()));
        let mut silent: Vec<String> = request
            .open_parts
            .iter()
            .filter_map(|part| self.open.remove(part)?.part_of)
            .map(|(_, instance)| instance)
            .collect();
        silent.sort();
        let finished = Finished {
            id: id.clone(),
            kind: request.kind,
            results: request.results,
        };
        Some((finished, silent))
    }

    /// An identifier that nobody uses. A client may have chosen one that the source would make, but
    /// no more of them than are open, so this ends.
    fn fresh_id(&mut self) -> RequestId {
        loop {
            let id = self.ids.next_id();
            if !self.open.contains_key(&id) {
                return id;
            }
        }
    }
}

fn not_open(id: &RequestId) -> RequestError {
    RequestError::NotOpen { id: id.to_string() }
}
