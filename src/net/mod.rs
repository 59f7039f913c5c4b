//! The loop's one place to wait, over mio.
//!
//! Owns: the epoll object. Borrows: every descriptor registered; their owners take them out again
//! before they close them. Never: reads or writes one of them.

pub mod poller;
