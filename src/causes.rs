//! An error with its causes, as it is told once: what was done, to what, and why it failed.

use std::error::Error;

/// The text of an error and of each of its causes, outermost first.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn causes_follow_what_they_caused() {
        let cause = Link("cannot open it", Some(Box::new(Link("no such file", None))));
        let error = Link("cannot start", Some(Box::new(cause)));
        assert_eq!(chain(&error), "cannot start: cannot open it: no such file");
    }
}
