//! The request table: deadlines, parts, late and double answers, bounds; and a long random
//! conversation held against a plain model. `SIM_SEED=… cargo test` replays one seed.

#![cfg(test)]

mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cluster::controller::request::{
    Expired, IdSource, Kind, OPEN_MAX, RESULTS_MAX, RequestError, RequestId, RequestTable,
    TIMED_OUT,
};
use cluster::controller::types::ApiResult;
use stories::{Dice, origin, seeds};

/// So many seeds are tried on every run.
const SEEDS: u64 = 64;

const LIFETIME: Duration = Duration::from_secs(10);

fn table() -> RequestTable {
    RequestTable::new(LIFETIME, IdSource::new(7))
}

fn id(text: &str) -> RequestId {
    RequestId::from(text)
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn identifiers_have_eleven_letters_and_digits_and_never_repeat() {
    let mut source = IdSource::new(1);
    let made: BTreeSet<RequestId> = (0..100_000).map(|_| source.next_id()).collect();
    assert_eq!(made.len(), 100_000);
    for id in &made {
        assert_eq!(id.as_str().len(), 11);
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
    assert_eq!(IdSource::new(5).next_id(), IdSource::new(5).next_id());
}

#[test]
fn a_request_is_found_until_it_is_finished_and_comes_back_with_its_results() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Query, now).unwrap();
    let request = table.get("R1").unwrap();
    assert_eq!(request.kind(), Kind::Query);
    assert_eq!(request.deadline(), now + LIFETIME);
    assert_eq!((request.parent(), request.instance()), (None, None));
    table.add_result(&id("R1"), ApiResult::done("R1")).unwrap();
    assert_eq!(table.get("R1").unwrap().results().len(), 1);

    let finished = table.finish(&id("R1")).unwrap().unwrap();
    assert_eq!(finished.id, id("R1"));
    assert_eq!(finished.results, [ApiResult::done("R1")]);
    assert!(table.get("R1").is_none() && table.is_empty());
    assert_eq!(table.next_deadline(), None);
}

#[test]
fn a_parent_completes_with_the_last_of_its_parts_and_holds_their_results_in_order() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Configuration, now).unwrap();
    let parts = table
        .open_parts(&id("R1"), &names(&["a", "b", "c"]))
        .unwrap();
    assert_eq!(table.len(), 4);
    assert_eq!(
        table.get(parts[1].as_str()).unwrap().parent(),
        Some(&id("R1"))
    );
    assert_eq!(table.get(parts[1].as_str()).unwrap().instance(), Some("b"));
    assert_eq!(
        table.finish(&id("R1")),
        Err(RequestError::WaitsForParts {
            id: id("R1"),
            open: 3
        })
    );
    for (turn, part) in [2, 0, 1].into_iter().enumerate() {
        let result = ApiResult::done(parts[part].as_str());
        table.add_result(&parts[part], result).unwrap();
        let complete = table.finish(&parts[part]).unwrap();
        assert_eq!(complete.is_some(), turn == 2);
        if let Some(finished) = complete {
            assert_eq!(finished.id, id("R1"));
            let order: Vec<&str> = finished.results.iter().map(|r| r.reqid.as_str()).collect();
            assert_eq!(
                order,
                [parts[2].as_str(), parts[0].as_str(), parts[1].as_str()]
            );
        }
    }
    assert!(table.is_empty());
}

#[test]
fn an_expired_request_keeps_what_was_answered_and_names_who_was_silent() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Configuration, now).unwrap();
    let parts = table
        .open_parts(&id("R1"), &names(&["c", "b", "a"]))
        .unwrap();
    table.add_result(&parts[1], ApiResult::done("b")).unwrap();
    table.finish(&parts[1]).unwrap();

    assert_eq!(table.expire(now + LIFETIME - Duration::from_nanos(1)), []);
    assert_eq!(table.next_deadline(), Some(now + LIFETIME));
    assert_eq!(
        table.expire(now + LIFETIME),
        [Expired {
            id: id("R1"),
            kind: Kind::Configuration,
            results: vec![ApiResult::done("b"), ApiResult::failed("R1", TIMED_OUT)],
            silent: names(&["a", "c"]),
        }]
    );
    assert!(table.is_empty());
    // The next configuration is welcome now.
    assert_eq!(table.pending_configuration(), None);
    table.open(id("R2"), Kind::Configuration, now).unwrap();
}

#[test]
fn several_due_requests_expire_together_the_earliest_first() {
    let (mut table, now) = (table(), origin());
    let second = Duration::from_secs(1);
    table.open(id("late"), Kind::Query, now + second).unwrap();
    table.open(id("early"), Kind::TestTimeout, now).unwrap();
    table
        .open(id("later"), Kind::Query, now + 2 * second)
        .unwrap();
    let due: Vec<RequestId> = table
        .expire(now + LIFETIME + second)
        .into_iter()
        .map(|expired| expired.id)
        .collect();
    assert_eq!(due, [id("early"), id("late")]);
    assert_eq!(table.len(), 1);
}

#[test]
fn late_and_double_answers_are_refused_and_change_nothing() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Query, now).unwrap();
    let parts = table.open_parts(&id("R1"), &names(&["a", "b"])).unwrap();
    assert_eq!(table.finish(&parts[0]), Ok(None));
    let twice = RequestError::NotOpen {
        id: parts[0].to_string(),
    };
    assert_eq!(table.finish(&parts[0]), Err(twice.clone()));
    assert_eq!(
        table.add_result(&parts[0], ApiResult::done("a")),
        Err(twice)
    );
    assert_eq!(table.expire(now + LIFETIME).len(), 1);
    assert!(table.finish(&parts[1]).is_err(), "late");
    assert!(table.finish(&id("R1")).is_err(), "late");
    assert!(table.is_empty());
}

#[test]
fn a_second_configuration_is_refused_and_told_which_one_is_pending() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Configuration, now).unwrap();
    table.open_parts(&id("R1"), &names(&["a"])).unwrap();
    let refused = table.open(id("R2"), Kind::Configuration, now).unwrap_err();
    assert_eq!(refused.to_string(), "request R1 still pending");
    table.open(id("R3"), Kind::Query, now).unwrap();
    assert_eq!(table.pending_configuration(), Some(&id("R1")));
}

#[test]
fn parts_have_no_parts_and_no_request_is_divided_twice() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Query, now).unwrap();
    let parts = table.open_parts(&id("R1"), &names(&["a"])).unwrap();
    for id in [&id("R1"), &parts[0]] {
        assert_eq!(
            table.open_parts(id, &names(&["b"])),
            Err(RequestError::NoParts { id: id.clone() })
        );
    }
}

#[test]
fn identifiers_of_clients_must_be_new_and_of_sensible_length() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Query, now).unwrap();
    assert_eq!(
        table.open(id("R1"), Kind::Query, now),
        Err(RequestError::Duplicate { id: id("R1") })
    );
    for text in [String::new(), "x".repeat(129)] {
        assert_eq!(
            table.open(id(&text), Kind::Query, now),
            Err(RequestError::BadId { bytes: text.len() })
        );
    }
}

#[test]
fn a_client_that_guesses_the_next_identifier_gets_no_foreign_answer() {
    let (mut table, now) = (table(), origin());
    let guessed = IdSource::new(7).next_id();
    table.open(guessed.clone(), Kind::Query, now).unwrap();
    assert_ne!(table.open_own(Kind::Query, now).unwrap(), guessed);
}

#[test]
fn a_full_table_refuses_requests_and_takes_parts_all_or_none() {
    let (mut table, now) = (table(), origin());
    for _ in 0..OPEN_MAX - 2 {
        table.open_own(Kind::Query, now).unwrap();
    }
    table.open(id("R1"), Kind::Query, now).unwrap();
    assert_eq!(
        table.open_parts(&id("R1"), &names(&["a", "b"])),
        Err(RequestError::Full)
    );
    assert_eq!(table.len(), OPEN_MAX - 1);
    table.open_parts(&id("R1"), &names(&["a"])).unwrap();
    assert_eq!(table.open_own(Kind::Query, now), Err(RequestError::Full));
}

#[test]
fn one_request_takes_a_bounded_number_of_results() {
    let (mut table, now) = (table(), origin());
    table.open(id("R1"), Kind::Query, now).unwrap();
    for _ in 0..RESULTS_MAX {
        table.add_result(&id("R1"), ApiResult::done("R1")).unwrap();
    }
    assert_eq!(
        table.add_result(&id("R1"), ApiResult::done("R1")),
        Err(RequestError::TooManyResults { id: id("R1") })
    );
}

/// What the table should hold, kept in the plainest way.
#[derive(Default)]
struct Model {
    /// Deadline, results so far, open parts by identifier.
    requests: BTreeMap<RequestId, (Instant, usize, BTreeMap<RequestId, String>)>,
}

impl Model {
    fn len(&self) -> usize {
        self.requests
            .values()
            .map(|(_, _, parts)| 1 + parts.len())
            .sum()
    }

    fn any_part(&self, random: &mut Dice) -> Option<(RequestId, RequestId)> {
        let all: Vec<_> = self
            .requests
            .iter()
            .flat_map(|(id, (_, _, parts))| parts.keys().map(|part| (id.clone(), part.clone())))
            .collect();
        (!all.is_empty()).then(|| all[random.below(all.len())].clone())
    }

    fn finish_part(&mut self, parent: &RequestId, part: &RequestId) -> Option<usize> {
        let (_, results, parts) = self.requests.get_mut(parent).unwrap();
        parts.remove(part);
        *results += 1;
        let results = *results;
        if !parts.is_empty() {
            return None;
        }
        self.requests.remove(parent);
        Some(results)
    }

    fn expire(&mut self, now: Instant) -> BTreeMap<RequestId, (usize, BTreeSet<String>)> {
        let due: Vec<RequestId> = self
            .requests
            .iter()
            .filter(|(_, (deadline, _, _))| *deadline <= now)
            .map(|(id, _)| id.clone())
            .collect();
        due.into_iter()
            .map(|id| {
                let (_, results, parts) = self.requests.remove(&id).unwrap();
                (id, (results, parts.into_values().collect()))
            })
            .collect()
    }
}

fn one_conversation(seed: u64) {
    let mut random = Dice::new(seed);
    let (mut table, mut model, mut now) = (table(), Model::default(), origin());
    for step in 0..400_u32 {
        match random.below(4) {
            0 => {
                let id = id(&format!("R{step:03}"));
                table.open(id.clone(), Kind::Query, now).unwrap();
                let instances: Vec<String> =
                    (0..random.below(5)).map(|n| format!("i{n}")).collect();
                let parts = table.open_parts(&id, &instances).unwrap();
                let parts = parts.into_iter().zip(instances).collect();
                model.requests.insert(id, (now + LIFETIME, 0, parts));
            }
            1 | 2 => {
                if let Some((parent, part)) = model.any_part(&mut random) {
                    table.add_result(&part, ApiResult::done("x")).unwrap();
                    let complete = table.finish(&part).unwrap();
                    let expected = model.finish_part(&parent, &part);
                    assert_eq!(complete.as_ref().map(|f| f.results.len()), expected);
                    assert!(complete.is_none_or(|f| f.id == parent));
                    assert!(table.finish(&part).is_err(), "twice");
                }
            }
            _ => {
                now += Duration::from_millis(random.below(2000) as u64);
                let expired = table.expire(now);
                assert!(expired.is_sorted_by_key(|e| e.id.clone()));
                let expired: BTreeMap<_, _> = expired
                    .into_iter()
                    .map(|e| (e.id, (e.results.len() - 1, e.silent.into_iter().collect())))
                    .collect();
                assert_eq!(expired, model.expire(now));
            }
        }
        assert_eq!(table.len(), model.len());
        let next = model
            .requests
            .values()
            .map(|(deadline, _, _)| *deadline)
            .min();
        assert_eq!(table.next_deadline(), next);
    }
    now += LIFETIME;
    assert_eq!(table.expire(now).len(), model.requests.len());
    assert!(table.is_empty() && table.next_deadline().is_none());
}

#[test]
fn random_conversations_agree_with_a_plain_model() {
    for seed in seeds(SEEDS) {
        println!("SIM_SEED={seed}");
        one_conversation(seed);
    }
}
