//! The words by which layouts, metrics and frames name backends and serializers.

use std::fmt;

/// A word that names none of them. Configuration's, or a peer's, fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} \"{word}\"; there are {known}")]
pub struct UnknownTag {
    /// Of what it should be one.
    pub kind: &'static str,
    /// What was given.
    pub word: String,
    /// All there are.
    pub known: String,
}

macro_rules! tag_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal, {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What a word names.
            ///
            /// # Errors
            /// [`UnknownTag`] lists what there is.
            pub fn parse(word: &str) -> Result<Self, UnknownTag> {
                let found = Self::ALL.iter().find(|tag| tag.word() == word);
                found.copied().ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|tag| tag.word()).collect();
                    UnknownTag { kind: $kind, word: word.to_owned(), known: known.join(", ") }
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

tag_type! {
    /// What carries messages; the seeds' `Cluster::BackendTag`.
    BackendTag, "backend", {
        /// Nothing: whatever is published is accepted and goes nowhere.
        None = "NONE",
        /// Broker's peer-to-peer protocol.
        Broker = "BROKER",
        /// A hub on a Broker endpoint for one WebSocket client.
        BrokerWebSocketShim = "BROKER_WEBSOCKET_SHIM",
        /// A central forwarder.
        ZeroMq = "ZEROMQ",
        /// Rings and Unix streams between the nodes of one host.
        Local = "LOCAL",
    }
}

tag_type! {
    /// How events become bytes; the seeds' `Cluster::EventSerializerTag`. The words stand in frames.
    EventSerializerTag, "event serializer", {
        /// `EVENT_SERIALIZER_BROKER_BIN_V1`
        BrokerBinV1 = "broker-bin-v1",
        /// `EVENT_SERIALIZER_BROKER_JSON_V1`
        BrokerJsonV1 = "broker-json-v1",
    }
}

tag_type! {
    /// How log records become bytes; the seeds' `Cluster::LogSerializerTag`. The word stands in frames.
    LogSerializerTag, "log serializer", {
        /// `LOG_SERIALIZER_ZEEK_BIN_V1`
        ZeekBinV1 = "zeek-bin-serializer",
    }
}

/// Who can be reached by a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody by everybody.
    Full,
    /// Only those who are peers: workers do not see one another.
    Partial,
}

impl BackendTag {
    /// Who can be reached by it.
    #[must_use]
    pub fn visibility(self) -> Visibility {
        match self {
            Self::Broker | Self::BrokerWebSocketShim => Visibility::Partial,
            Self::None | Self::ZeroMq | Self::Local => Visibility::Full,
        }
    }

    /// Whether log records travel under topics, as they do but for `ZeroMQ`, which has sockets of its own
    /// for them.
    #[must_use]
    pub fn logs_have_topics(self) -> bool {
        self != Self::ZeroMq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_names_what_it_came_from_and_others_nothing() {
        for tag in BackendTag::ALL {
            assert_eq!(BackendTag::parse(tag.word()), Ok(*tag));
        }
        for tag in EventSerializerTag::ALL {
            assert_eq!(EventSerializerTag::parse(&tag.to_string()), Ok(*tag));
        }
        let error = LogSerializerTag::parse("json").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no log serializer \"json\"; there are zeek-bin-serializer"
        );
    }
}
