//! Spans of time as systemd writes them.

use std::fmt::Write;
use std::time::Duration;

/// From long to short. systemd's months and years are no whole days, so days are the longest.
const UNITS: [(u128, &str); 5] =
    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];

/// A span of time, to the millisecond: `1h 30min`. Nothing is `0`.
pub(super) fn written(span: Duration) -> String {
    let mut rest = span.as_millis();
    let mut out = String::with_capacity(16);
    for (length, name) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            let apart = if out.is_empty() { "" } else { " " };
            // Writing into a string cannot fail.
            let _ = write!(out, "{apart}{count}{name}");
        }
    }
    if out.is_empty() { "0".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_in_units_of_systemd() {
        let written = |ms| written(Duration::from_millis(ms));
        let spans = [0, 250, 1_500, 90_000, 5_400_000, 21_600_000, 90_061_001].map(written);
        assert_eq!(spans, ["0", "250ms", "1s 500ms", "1min 30s", "1h 30min", "6h", "1d 1h 1min 1s 1ms"]);
    }
}
