//! What capabilities are called.

/// The capabilities of Linux; each one's place is its number.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// `cap_net_raw`, `net_raw`, in any case.
pub(super) fn number(word: &str) -> Option<u8> {
    let lower = word.to_lowercase();
    let short = lower.strip_prefix("cap_").unwrap_or(&lower);
    let number = CAPABILITIES.iter().position(|name| *name == short)?;
    u8::try_from(number).ok()
}

/// `net_raw`; a number without a name is its digits.
pub(super) fn name(number: u8) -> String {
    let known = CAPABILITIES.get(usize::from(number));
    known.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

/// The names that [`number`] takes.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    CAPABILITIES.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_systems_numbers() {
        assert_eq!(number("cap_net_raw"), Some(13));
        assert_eq!(number("NET_ADMIN"), Some(12));
        assert_eq!(number("checkpoint_restore"), Some(40));
        assert_eq!(number("fly"), None);
        assert_eq!(
            (name(13), name(99)),
            ("net_raw".to_owned(), "99".to_owned())
        );
    }
}
