//! Selectors: how a client names nodes.
//!
//! A name (`worker-1`), a glob (`worker-*`, `logger-?`), a role (`@workers`, `@manager`), `@all`, or
//! `@failed`. A selector that matches nobody is an error, and then nothing is done.

use serde::{Deserialize, Serialize};

use crate::layout::spec::Role;

/// The selectors of one request; none stands for all where the request only reads.
pub type Selectors = Vec<Selector>;

/// One selector, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Selector(pub String);

/// What a selector looks at.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The node's name.
    pub name: &'a str,
    /// Its role.
    pub role: Role,
    /// Has it failed?
    pub failed: bool,
}

/// A selector that matches nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the selector \"{selector}\" matches no node; `supervisor status` lists them")]
pub struct NoMatch {
    /// As it was written.
    pub selector: String,
}

impl Selector {
    /// Does it match this node? `@failed` and `@all` may match nobody without being wrong.
    #[must_use]
    pub fn matches(&self, node: Candidate<'_>) -> bool {
        match self.0.strip_prefix('@') {
            Some("all") => true,
            Some("failed") => node.failed,
            Some(word) => {
                let role = node.role.word();
                word == role
                    || word.strip_suffix('s') == Some(role)
                    || (word == "proxies" && role == "proxy")
            }
            None => glob(self.0.as_bytes(), node.name.as_bytes()),
        }
    }

    fn may_match_nobody(&self) -> bool {
        matches!(self.0.as_str(), "@all" | "@failed")
    }
}

/// Picks the nodes that any of the selectors matches, in the order of the candidates.
///
/// # Errors
/// [`NoMatch`] names the first selector that matches nobody.
pub fn pick<'a>(
    selectors: &[Selector],
    candidates: &[Candidate<'a>],
) -> Result<Vec<&'a str>, NoMatch> {
    for selector in selectors {
        if !selector.may_match_nobody() && !candidates.iter().any(|c| selector.matches(*c)) {
            return Err(NoMatch {
                selector: selector.0.clone(),
            });
        }
    }
    Ok(candidates
        .iter()
        .filter(|c| selectors.iter().any(|s| s.matches(**c)))
        .map(|c| c.name)
        .collect())
}

/// Matches `*` (any run) and `?` (any one byte); linear in the product of the lengths at worst.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&c| c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, role: Role) -> Candidate<'_> {
        Candidate {
            name,
            role,
            failed: false,
        }
    }

    fn select(words: &[&str]) -> Selectors {
        words.iter().map(|w| Selector((*w).to_owned())).collect()
    }

    #[test]
    fn globs_match_as_a_shell_would() {
        for (pattern, text, matches) in [
            ("worker-*", "worker-12", true),
            ("worker-?", "worker-12", false),
            ("*er-1", "worker-1", true),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("worker-1", "worker-10", false),
        ] {
            assert_eq!(
                glob(pattern.as_bytes(), text.as_bytes()),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn roles_are_taken_in_the_singular_and_the_plural() {
        let nodes = [
            node("proxy-1", Role::Proxy),
            node("worker-1", Role::Worker),
            node("manager", Role::Manager),
        ];
        for (word, name) in [
            ("@proxies", "proxy-1"),
            ("@proxy", "proxy-1"),
            ("@workers", "worker-1"),
            ("@manager", "manager"),
        ] {
            assert_eq!(pick(&select(&[word]), &nodes).unwrap(), [name]);
        }
    }

    #[test]
    fn a_selector_for_nobody_is_an_error_even_beside_a_good_one() {
        let nodes = [node("worker-1", Role::Worker)];
        let error = pick(&select(&["worker-1", "loger"]), &nodes).unwrap_err();
        assert_eq!(error.selector, "loger");
        assert_eq!(
            pick(&select(&["@failed"]), &nodes).unwrap(),
            Vec::<&str>::new()
        );
    }
}
