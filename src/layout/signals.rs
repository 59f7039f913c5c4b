//! What signals are called: in layouts, in requests, in whatever is told of an end.

/// The highest signal of the kernel.
const HIGHEST: i32 = 64;

/// The names of the classic signals, in the order in which a number's name is looked for.
const NAMES: [(&str, i32); 33] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    // Other names of the same.
    ("POLL", libc::SIGPOLL),
    ("IOT", libc::SIGIOT),
];

/// The number of a signal: `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
#[must_use]
pub fn number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=HIGHEST).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let word = upper.strip_prefix("SIG").unwrap_or(&upper);
    let classic = NAMES.iter().find(|(known, _)| *known == word);
    classic
        .map(|(_, number)| *number)
        .or_else(|| real_time(word))
}

fn real_time(word: &str) -> Option<i32> {
    let (lowest, highest) = (libc::SIGRTMIN(), libc::SIGRTMAX());
    let found = match word {
        "RTMIN" => lowest,
        "RTMAX" => highest,
        _ => match (word.strip_prefix("RTMIN+"), word.strip_prefix("RTMAX-")) {
            (Some(above), _) => lowest.checked_add_unsigned(above.parse().ok()?)?,
            (_, Some(below)) => highest.checked_sub_unsigned(below.parse().ok()?)?,
            (None, None) => return None,
        },
    };
    (lowest..=highest).contains(&found).then_some(found)
}

/// The names of the classic signals, to suggest one.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    NAMES.iter().map(|(name, _)| *name)
}

/// What a signal is called: `SIGTERM`, `SIGRTMIN+3`; a number without a name is its digits.
#[must_use]
pub fn name(number: i32) -> String {
    if let Some((word, _)) = NAMES.iter().find(|(_, known)| *known == number) {
        return format!("SIG{word}");
    }
    let lowest = libc::SIGRTMIN();
    match number {
        _ if number == lowest => "SIGRTMIN".to_owned(),
        _ if (lowest..=libc::SIGRTMAX()).contains(&number) => {
            format!("SIGRTMIN+{}", number - lowest)
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signals_name_leads_back_to_its_number() {
        for signal in 1..=HIGHEST {
            assert_eq!(number(&name(signal)), Some(signal), "{}", name(signal));
        }
    }

    #[test]
    fn a_signal_is_known_by_any_of_its_spellings() {
        for text in ["TERM", "SIGTERM", "sigterm", "15"] {
            assert_eq!(number(text), Some(libc::SIGTERM), "{text}");
        }
        assert_eq!(number("IOT"), Some(libc::SIGABRT));
        assert_eq!(number("SIGRTMAX-1"), Some(libc::SIGRTMAX() - 1));
        assert_eq!(name(libc::SIGRTMIN() + 3), "SIGRTMIN+3");
        assert_eq!(name(libc::SIGABRT), "SIGABRT");
    }

    #[test]
    fn what_is_no_signal_has_no_number() {
        for text in [
            "",
            "SIG",
            "0",
            "65",
            "-9",
            "TERMINATE",
            "RTMIN+99",
            "RTMAX+1",
            "RTMIN+-1",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
