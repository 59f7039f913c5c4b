//! Node ids: which process a node is just now. New at each start.

use std::fmt;
use std::sync::Arc;

use crate::names::LifeId;

/// A node id, as the backend that it belongs to forms it; what `Cluster::node_id` gives.
///
/// Nodes of one host have that of their life on the board. The others are how nodes on other backends of
/// the seeds are called, so that those are known by the same names here; no backend of this build forms
/// one. Whatever is random in an id comes from the caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// The id of a Broker endpoint: a random UUID in its canonical form.
    #[must_use]
    pub fn broker(random: [u8; 16]) -> Self {
        const VERSION_4: u128 = 0x4 << 76;
        const VARIANT: u128 = 0x8 << 60;
        const RANDOM: u128 = !(0xf << 76 | 0xc << 60);
        let bits = u128::from_be_bytes(random) & RANDOM | VERSION_4 | VARIANT;
        let hex = format!("{bits:032x}");
        let mut text = String::with_capacity(36);
        for (at, digit) in hex.chars().enumerate() {
            if matches!(at, 8 | 12 | 16 | 20) {
                text.push('-');
            }
            text.push(digit);
        }
        Self(text.into())
    }

    /// The id of a `ZeroMQ` backend: `zeromq_<node>_<hostname>_<pid>_N<unique>`.
    #[must_use]
    pub fn zeromq(node: &str, hostname: &str, pid: u32, random: u64) -> Self {
        let unique = base62(random);
        Self(format!("zeromq_{node}_{hostname}_{pid}_N{unique}").into())
    }

    /// The id of a WebSocket client: that of the node that serves it, and a number that counts its
    /// connections.
    #[must_use]
    pub fn websocket(server: &Self, connection: u64) -> Self {
        Self(format!("{server}-websocket-{connection}").into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The id of a node on this host.
impl From<LifeId> for NodeId {
    fn from(id: LifeId) -> Self {
        Self(id.to_string().into())
    }
}

/// An id that another node formed.
impl From<&str> for NodeId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn base62(mut number: u64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut text = String::new();
    loop {
        let digit = DIGITS.iter().zip(0u64..).find(|(_, n)| *n == number % 62);
        text.extend(digit.map(|(digit, _)| char::from(*digit)));
        number /= 62;
        if number == 0 {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_form_of_their_backend() {
        assert_eq!(
            NodeId::broker([0xff; 16]).as_str(),
            "ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(
            NodeId::broker([0; 16]).as_str(),
            "00000000-0000-4000-8000-000000000000"
        );
        let zeromq = NodeId::zeromq("worker-1", "host.site", 412, 62 * 62 + 10);
        assert_eq!(zeromq.as_str(), "zeromq_worker-1_host.site_412_Na01");
        assert_eq!(
            NodeId::websocket(&"srv".into(), 3).as_str(),
            "srv-websocket-3"
        );
        assert!(NodeId::zeromq("n", "h", 1, 0).as_str().ends_with("_N0"));
        assert!(NodeId::zeromq("n", "h", 1, 61).as_str().ends_with("_NZ"));
    }
}
