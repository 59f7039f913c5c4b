//! From an answer to the code that the command ends with.

use cluster::control::Code;
use cluster::control::reply::{
    ClusterState, DeployReply, DiffReply, ErrorBody, NodeResult, NodeState, NodeStatus,
    ResultsReply, StatusReply,
};
use cluster::supervise::child::State;

use super::failure::refused_code;

/// `status`: are the selected nodes where they should be?
pub(crate) fn status(reply: &StatusReply) -> Code {
    if reply
        .nodes
        .iter()
        .any(|node| node.state == NodeState::Is(State::Failed))
    {
        return Code::Broken;
    }
    if reply.nodes.iter().all(as_wanted) {
        return Code::Done;
    }
    match reply.cluster {
        ClusterState::Broken => Code::Broken,
        ClusterState::Starting
        | ClusterState::Ready
        | ClusterState::Degraded
        | ClusterState::Stopping => Code::Degraded,
    }
}

/// Is a node where it should be? One that has finished has done all that was wanted of it.
pub(crate) fn as_wanted(node: &NodeStatus) -> bool {
    [node.wanted, State::Finished]
        .map(NodeState::Is)
        .contains(&node.state)
}

/// What changes nodes.
pub(crate) fn results(reply: &ResultsReply) -> Code {
    changed(reply.ok, reply.error.as_ref(), &reply.results)
}

/// `deploy`.
pub(crate) fn deploy(reply: &DeployReply) -> Code {
    changed(reply.ok, reply.error.as_ref(), &reply.results)
}

/// The supervisor's own word counts; without one, the results do.
fn changed(ok: bool, error: Option<&ErrorBody>, results: &[NodeResult]) -> Code {
    if let Some(error) = error {
        return refused_code(error);
    }
    let failed = results.iter().filter(|result| !result.ok).count();
    match (ok, failed) {
        (true, 0) => Code::Done,
        (_, failed) if failed < results.len() => Code::Partial,
        _ => Code::Failed,
    }
}

/// `diff`: 1 if something differs, as `diff` does it.
pub(crate) fn diff(reply: &DiffReply) -> Code {
    match &reply.error {
        Some(error) => refused_code(error),
        None if reply.ok && reply.diff.is_empty() => Code::Done,
        None => Code::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use cluster::layout::diff::{Difference, FieldChange};

    #[test]
    fn status_looks_at_the_selected_nodes_first_and_then_at_the_cluster() {
        use ClusterState::{Broken, Degraded, Ready, Starting};
        for (cluster, states, code) in [
            (Ready, &[("ready", "ready")][..], Code::Done),
            (Broken, &[("ready", "ready")], Code::Done),
            (Ready, &[], Code::Done),
            (
                Ready,
                &[("finished", "ready"), ("stopped", "stopped")],
                Code::Done,
            ),
            (
                Degraded,
                &[("backoff", "ready"), ("ready", "ready")],
                Code::Degraded,
            ),
            (Degraded, &[("degraded", "ready")], Code::Degraded),
            (Starting, &[("pending", "ready")], Code::Degraded),
            (Ready, &[("stopping", "stopped")], Code::Degraded),
            (Broken, &[("backoff", "ready")], Code::Broken),
            (Degraded, &[("failed", "ready")], Code::Broken),
        ] {
            let mut reply = sample::status();
            reply.cluster = cluster;
            reply.nodes = states
                .iter()
                .map(|(state, wanted)| sample::node("n", state, wanted))
                .collect();
            assert_eq!(status(&reply), code, "{cluster:?} {states:?}");
        }
    }

    #[test]
    fn a_change_is_done_partial_or_failed_and_the_supervisors_word_counts_most() {
        let error = |code| {
            Some(ErrorBody {
                code,
                message: String::new(),
                node: None,
            })
        };
        for (ok, error, results, code) in [
            (true, None, &[true, true][..], Code::Done),
            (true, None, &[], Code::Done),
            (false, None, &[true, false], Code::Partial),
            (true, None, &[true, false], Code::Partial),
            (false, None, &[false, false], Code::Failed),
            (false, None, &[], Code::Failed),
            (
                false,
                error(Code::TimeLimit),
                &[true, false],
                Code::TimeLimit,
            ),
            (false, error(Code::Conflict), &[], Code::Conflict),
            (false, error(Code::Done), &[], Code::Failed),
        ] {
            let results: Vec<NodeResult> = results.iter().map(|ok| sample::result(*ok)).collect();
            assert_eq!(changed(ok, error.as_ref(), &results), code);
        }
    }

    #[test]
    fn a_difference_in_settings_alone_is_one() {
        let mut reply = DiffReply {
            schema: 1,
            ok: true,
            error: None,
            findings: Vec::new(),
            diff: Difference {
                unchanged: vec!["a".to_owned()],
                ..Difference::default()
            },
        };
        assert_eq!(diff(&reply), Code::Done);
        reply.diff.settings.push(FieldChange {
            field: "crash_keep".to_owned(),
            from: "10".to_owned(),
            to: "5".to_owned(),
        });
        assert_eq!(diff(&reply), Code::Failed);
    }
}
