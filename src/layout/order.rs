//! The order in which children start and are shown: by stage, then by name with numbers by value.

use super::spec::ChildSpec;

impl ChildSpec {
    /// Sorts children as [`Layout::children`](super::Layout::children) are sorted. It owns its parts, so
    /// it goes with `sort_by_cached_key`.
    #[must_use]
    pub fn order_key(&self) -> impl Ord + use<> {
        (self.stage, natural(self.name.as_str()))
    }
}

/// A key that sorts numbers within names by value: `worker-2` before `worker-10`.
fn natural(name: &str) -> Vec<(bool, u64, String)> {
    let mut parts: Vec<(bool, u64, String)> = Vec::new();
    for c in name.chars() {
        let is_digit = c.is_ascii_digit();
        match parts.last_mut() {
            Some((text, _, part)) if *text != is_digit => part.push(c),
            Some(_) | None => parts.push((!is_digit, 0, c.to_string())),
        }
    }
    for (text, number, part) in &mut parts {
        if !*text {
            *number = part.parse().unwrap_or(u64::MAX);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::super::sample::layout;
    use super::*;

    #[test]
    fn numbers_in_names_sort_by_value() {
        let mut names = ["w-10", "w-2", "w", "w-1", "v-99999999999999999999999"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(
            names,
            ["v-99999999999999999999999", "w", "w-1", "w-2", "w-10"]
        );
    }

    #[test]
    fn children_in_any_order_come_back_into_start_order() {
        let started = layout(
            "(nodes: {\"w\": (node_type: Worker, count: 12), \"m\": (node_type: Manager), \"a\": (command: [\"true\"])})",
        );
        let mut children = started.children.clone();
        children.reverse();
        children.sort_by_cached_key(ChildSpec::order_key);
        assert_eq!(children, started.children);
    }
}
