//! Where the lines go of a node that writes log files itself.

/// Takes the lines of a node that writes log files itself: the way to its writer thread. Give it to the
/// cluster with [`Cluster::keep_logs`](crate::node::Cluster::keep_logs).
///
/// It is handed the same [messages](crate::logging::message::Message) that would go to a logger by a ring,
/// in the order in which they were written: the one that creates a writer comes once, before that
/// writer's first lines. They have no source and no numbers; the sink gives them those of this
/// incarnation.
pub trait LocalSink: Send {
    /// Takes a message. True: what it says is written, or lies where the death of this process does not
    /// lose it. It may wait for that, as long as a publisher waits for room in a logger's ring. A writer
    /// whose message was not taken is created anew before its next lines.
    fn take(&mut self, message: &[u8]) -> bool;

    /// Lines need not wait for others any more: `Log::flush`.
    fn flush(&mut self);
}
