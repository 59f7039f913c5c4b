//! A client of the control socket that speaks its lines as they are.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// A connection.
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Connection {
    /// Connects; `None` while nobody listens.
    pub fn try_to(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Some(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Sends a request.
    pub fn send(&mut self, request: &Value) {
        let line = json!({"schema": 1, "timeout_ms": 30_000, "request": request});
        self.send_raw(format!("{line}\n").as_bytes());
    }

    /// The next object; `None` at the end.
    pub fn receive(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).unwrap() {
            0 => None,
            _ => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    /// Sends a request and reads its answer.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.send(request);
        self.receive().unwrap()
    }

    /// Sends a request and reads its stream to the end mark.
    pub fn stream(&mut self, request: &Value) -> Vec<Value> {
        self.send(request);
        let mut objects = Vec::new();
        loop {
            let object = self.receive().expect("the stream ended without its mark");
            if object["end"] == true {
                return objects;
            }
            assert_ne!(object["ok"], false, "{object}");
            objects.push(object);
        }
    }
}
