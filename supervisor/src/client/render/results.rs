//! What became of a change: one line a node, failures on standard error with the node's last words.

use cluster::control::reply::{ErrorBody, LATE, NodeResult, NodeState};
use cluster::supervise::child::State;

use super::lines;
use super::table::{self, Align, Cell, Row};
use crate::client::failure::ClientError;
use crate::client::out::{Console, Paint, Tone, clean, clean_lines};

const COLUMNS: [(&str, Align); 3] = [("", Align::Left), ("", Align::Left), ("", Align::Left)];

/// The state in which a node has failed in nothing yet.
const READY: NodeState = NodeState::Is(State::Ready);

/// Shows them: successes, then failures, then what the supervisor says of the whole.
pub(crate) fn show(
    results: &[NodeResult],
    error: Option<&ErrorBody>,
    console: &mut Console<'_>,
) -> Result<(), ClientError> {
    let paint = console.paint;
    console.print(&successes(results, paint))?;
    console.flush()?;
    for result in results.iter().filter(|result| !result.ok) {
        console.complain(&complaint(result));
        if !is_well(result) {
            let words: Vec<String> = result.last_lines.iter().map(lines::indented).collect();
            console.explain(&words.concat());
        }
    }
    if let Some(error) = error {
        console.complain(&format!("supervisor: {}", clean_lines(&error.message)));
    }
    Ok(())
}

/// How a deployment stands in which not everybody got there.
pub(crate) fn in_force(generation: u64, results: &[NodeResult]) -> String {
    let failed = results.iter().filter(|result| !result.ok);
    let (untouched, failed): (Vec<_>, Vec<_>) = failed.partition(|result| result.state == READY);
    let mut text = format!("generation {generation} is in force");
    for (nodes, what) in [
        (failed, "did not become ready"),
        (untouched, "still to be restarted"),
    ] {
        let noun = if nodes.len() == 1 { "node" } else { "nodes" };
        if !nodes.is_empty() {
            text.push_str(&format!("; {} {noun} {what}", nodes.len()));
        }
    }
    text
}

/// Was it only not there in time, or had no turn? Then its last lines are no last words.
fn is_well(result: &NodeResult) -> bool {
    result.error.as_deref() == Some(LATE) || result.state == READY
}

fn successes(results: &[NodeResult], paint: Paint) -> String {
    let rows: Vec<Row> = results
        .iter()
        .filter(|result| result.ok)
        .map(|result| Row {
            cells: vec![
                Cell::plain(clean(&result.node)),
                Cell::toned(result.state.word(), Tone::Good),
                Cell::plain(
                    result
                        .pid
                        .map(|pid| format!("pid {pid}"))
                        .unwrap_or_default(),
                ),
            ],
            notes: Vec::new(),
        })
        .collect();
    table::text(&COLUMNS, &rows, paint)
}

fn complaint(result: &NodeResult) -> String {
    let why = result.error.as_deref().unwrap_or("no reason was given");
    format!(
        "{}  {}  {}",
        clean(&result.node),
        result.state.word(),
        clean(why)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::shared::Common;
    use crate::client::sample;
    use cluster::control::{Code, reply::Stream};

    #[test]
    fn a_node_that_was_only_late_has_no_last_words() {
        let mut late = sample::result(false);
        late.state = NodeState::Is(State::Stopping);
        late.error = Some(LATE.to_owned());
        late.last_lines = vec![sample::line(Stream::Out, "all is well")];
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&mut out, &mut err, &Common::default());
        let mut untouched = late.clone();
        untouched.state = READY;
        untouched.error = Some("not restarted".to_owned());
        let results = [late, untouched];
        show(&results, None, &mut console).unwrap();
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "worker-1  stopping  the time limit passed\nworker-1  ready  not restarted\n"
        );
        assert_eq!(
            in_force(3, &results),
            "generation 3 is in force; 1 node did not become ready; 1 node still to be restarted"
        );
    }

    #[test]
    fn successes_go_to_standard_output_and_failures_with_their_last_words_to_standard_error() {
        let mut failed = sample::result(false);
        failed.node = "worker-10".to_owned();
        failed.last_lines = vec![
            sample::line(Stream::Out, "opening eth7"),
            sample::line(Stream::Err, "no such device"),
        ];
        let mut stopped = sample::result(true);
        stopped.node = "b".to_owned();
        stopped.state = NodeState::Is(State::Stopped);
        stopped.pid = None;
        let error = ErrorBody {
            code: Code::Partial,
            message: "1 of 3 nodes failed".to_owned(),
            node: None,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut console = Console::new(&mut out, &mut err, &Common::default());
        let results = [sample::result(true), failed, stopped];
        show(&results, Some(&error), &mut console).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "worker-1  ready    pid 123\nb         stopped\n"
        );
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "worker-10  failed  it did not become ready\n    \
             out | opening eth7\n    \
             err | no such device\n\
             supervisor: 1 of 3 nodes failed\n"
        );
    }
}
