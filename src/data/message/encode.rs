//! Messages into bytes. None of these allocates as long as the buffer has room.

use super::{MessageType, Metadata, VERSION};
use crate::data::Value;
use crate::data::binary::Encoder;

/// The outer vector, up to the content: a vector of so many members follows.
fn head(out: &mut Vec<u8>, message: MessageType, members: usize) -> Encoder<'_> {
    let mut encoder = Encoder::new(out);
    encoder.vector(3);
    encoder.count(VERSION);
    encoder.count(message.number());
    encoder.vector(members);
    encoder
}

/// `zeek::Event`: appends an event. Without metadata the field is left out; empty metadata is an empty
/// vector, as Zeek's own Broker backend writes it.
pub fn encode_event(name: &str, args: &[Value], metadata: Option<&Metadata>, out: &mut Vec<u8>) {
    let members = 2 + usize::from(metadata.is_some());
    let mut encoder = head(out, MessageType::Event, members);
    encoder.string(name.as_bytes());
    encoder.vector(args.len());
    encoder.values(args);
    if let Some(metadata) = metadata {
        encoder.vector(metadata.len());
        for (key, value) in metadata.iter() {
            encoder.vector(2);
            encoder.count(*key);
            encoder.value(value);
        }
    }
}

/// `zeek::LogCreate`: appends the announcement of a stream of log records. `writer_info` and `fields` are
/// vectors whose shape is the logging framework's.
pub fn encode_log_create(
    stream: &str,
    writer: &str,
    writer_info: &Value,
    fields: &Value,
    out: &mut Vec<u8>,
) {
    let mut encoder = head(out, MessageType::LogCreate, 4);
    encoder.enum_value(stream.as_bytes());
    encoder.enum_value(writer.as_bytes());
    encoder.value(writer_info);
    encoder.value(fields);
}

/// `zeek::LogWrite`: appends a log record. `serial` is the record in Zeek's own serialization.
pub fn encode_log_write(stream: &str, writer: &str, path: &str, serial: &[u8], out: &mut Vec<u8>) {
    let mut encoder = head(out, MessageType::LogWrite, 4);
    encoder.enum_value(stream.as_bytes());
    encoder.enum_value(writer.as_bytes());
    encoder.string(path.as_bytes());
    encoder.string(serial);
}

/// `zeek::IdentifierUpdate`: appends the new value of a global identifier.
pub fn encode_identifier_update(name: &str, value: &Value, out: &mut Vec<u8>) {
    let mut encoder = head(out, MessageType::IdentifierUpdate, 2);
    encoder.string(name.as_bytes());
    encoder.value(value);
}

/// `zeek::Batch`: appends the head of a batch. The caller owes as many messages.
pub fn encode_batch_head(messages: usize, out: &mut Vec<u8>) {
    head(out, MessageType::Batch, messages);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Timestamp, hex};

    fn message(number: u8, content: &str) -> String {
        format!("0e0302000000000000000102000000000000000{number}{content}")
    }

    #[test]
    fn an_event_carries_its_name_its_arguments_and_its_time() {
        let args = [Value::from(42_i64), Value::from("test")];
        let bare = "05076576656e745f310e0203000000000000002a050474657374";
        let mut out = Vec::new();
        encode_event("event_1", &args, None, &mut out);
        assert_eq!(hex(&out), message(1, &format!("0e02{bare}")));
        out.clear();
        encode_event("event_1", &args, Some(&Metadata::new()), &mut out);
        assert_eq!(hex(&out), message(1, &format!("0e03{bare}0e00")));
        out.clear();
        let time = Timestamp::from_nanos(1_681_827_194_000_000_000);
        let metadata = Metadata::of_network_timestamp(time);
        encode_event("event_1", &args, Some(&metadata), &mut out);
        let stamp = "0e010e020200000000000000010917570cec17f64400";
        assert_eq!(hex(&out), message(1, &format!("0e03{bare}{stamp}")));
    }

    #[test]
    fn log_records_identifiers_and_batches_have_their_own_content() {
        let mut write = Vec::new();
        encode_log_write(
            "Conn::LOG",
            "Log::WRITER_ASCII",
            "conn",
            &[1, 2],
            &mut write,
        );
        let labels = "0b09436f6e6e3a3a4c4f470b114c6f673a3a5752495445525f4153434949";
        let expected = message(3, &format!("0e04{labels}0504636f6e6e05020102"));
        assert_eq!(hex(&write), expected);

        let mut create = Vec::new();
        let none = Value::Vector(Vec::new());
        encode_log_create("Conn::LOG", "Log::WRITER_ASCII", &none, &none, &mut create);
        assert_eq!(hex(&create), message(2, &format!("0e04{labels}0e000e00")));

        let mut update = Vec::new();
        encode_identifier_update("Test::x", &Value::from(3_u64), &mut update);
        let content = "0e020507546573743a3a78020000000000000003";
        assert_eq!(hex(&update), message(4, content));

        let mut batch = Vec::new();
        encode_batch_head(2, &mut batch);
        batch.extend_from_slice(&write);
        encode_event("e", &[], None, &mut batch);
        let event = message(1, "0e020501650e00");
        assert_eq!(hex(&batch), message(5, &format!("0e02{expected}{event}")));
    }
}
