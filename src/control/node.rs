//! What the supervisor asks of a node, and what it is answered: a packet each, in postcard, over the node's
//! control socket. The controller is told of the cluster over the same socket; nobody else is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::logging::files::closed::Closed;
use crate::logging::{LogPath, StreamId};

/// What a node is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNode {
    /// Close the current files of these paths, rename them, and go on with fresh ones. No paths: all.
    Rotate {
        /// Names the request, for the answer.
        request: u64,
        /// Whose files.
        paths: Vec<LogPath>,
    },
    /// The command that was asked for has ended, or there is none.
    Processed {
        /// The node's request.
        request: u64,
    },
}

/// What a node answers, or asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromNode {
    /// The files that were current when it was asked have their new names, so many of them.
    Rotated {
        /// The request.
        request: u64,
        /// How many, or why not.
        files: Result<u32, String>,
    },
    /// Run the layout's command for this rotated file, and say when it has ended.
    Closed {
        /// Names the request, for the answer.
        request: u64,
        /// The file.
        closed: Closed,
        /// The node is about to end.
        is_ending: bool,
    },
    /// A stream that used to speak has not for a while.
    Silent {
        /// Which.
        stream: StreamId,
        /// The path whose file gets no lines any more.
        path: LogPath,
        /// For how long.
        lasts: Duration,
    },
}

impl ToNode {
    /// The packet; `None` if it is longer than `bytes_max`.
    #[must_use]
    pub fn encode(&self, bytes_max: usize) -> Option<Vec<u8>> {
        encode(self, bytes_max)
    }

    /// Reads a packet; `None` if it is none.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        postcard::from_bytes(packet).ok()
    }
}

impl FromNode {
    /// The packet; `None` if it is longer than `bytes_max`.
    #[must_use]
    pub fn encode(&self, bytes_max: usize) -> Option<Vec<u8>> {
        encode(self, bytes_max)
    }

    /// Reads a packet; `None` if it is none.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        postcard::from_bytes(packet).ok()
    }
}

fn encode(what: &impl Serialize, bytes_max: usize) -> Option<Vec<u8>> {
    let packet = postcard::to_stdvec(what).ok()?;
    (packet.len() <= bytes_max).then_some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read_as_they_were_sent_unless_they_are_too_long_or_name_what_is_no_path() {
        let path = LogPath::parse("conn").unwrap();
        let asked = ToNode::Rotate {
            request: 7,
            paths: vec![path],
        };
        let packet = asked.encode(100).unwrap();
        assert_eq!(ToNode::decode(&packet), Some(asked.clone()));
        assert_eq!(asked.encode(packet.len() - 1), None);
        let mut outside = packet.clone();
        let at = outside.len() - 4;
        outside[at..].copy_from_slice(b"../x");
        assert_eq!(ToNode::decode(&outside), None);
        assert_eq!(ToNode::decode(&packet[..packet.len() - 1]), None);
        for files in [Ok(3), Err("it writes no logs".to_owned())] {
            let answer = FromNode::Rotated { request: 7, files };
            let packet = answer.encode(100).unwrap();
            assert_eq!(FromNode::decode(&packet), Some(answer));
        }
    }
}
