//! Signals by name.

/// The signals that may end a process, as Linux numbers them. SIGSTOP and SIGCONT are none: they end nothing.
const SIGNALS: [(&str, i32); 18] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("XCPU", 24),
    ("VTALRM", 26),
    ("WINCH", 28),
];

/// The number of a signal, by its name with or without `SIG`.
pub(super) fn number(name: &str) -> Option<i32> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    SIGNALS.iter().find(|(known, _)| *known == bare).map(|(_, number)| *number)
}

/// The names, without `SIG`.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SIGNALS.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_with_and_without_its_prefix() {
        assert_eq!(["SIGTERM", "TERM", "INT", "SIGKILL"].map(number), [Some(15), Some(15), Some(2), Some(9)]);
        assert_eq!(["STOP", "SIGSTOP", "term", "SIGSIGTERM", ""].map(number), [None; 5]);
    }
}
