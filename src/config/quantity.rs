//! Durations and sizes as people write them: a whole number and a unit.

use std::time::Duration;

/// What a duration looks like, as a regular expression.
pub const DURATION_PATTERN: &str = "^[0-9]+(ms|s|m|h|d)$";

/// What a size looks like, as a regular expression.
pub const SIZE_PATTERN: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";

/// The longest duration taken: a hundred years. It keeps sums of durations and dates far from overflow.
pub const LONGEST: Duration = Duration::from_millis(LONGEST_MS);

const LONGEST_MS: u64 = 36_500 * 86_400_000;

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Invalid {
    reason: String,
    suggestion: Option<String>,
}

impl Invalid {
    /// What the writer probably meant, in the form that is taken.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

/// A unit: its name, how many of the smallest unit it is, and what else people call it (lower case).
struct Unit {
    name: &'static str,
    factor: u64,
    aliases: &'static [&'static str],
}

/// From large to small, so that formatting takes the first that fits.
const TIME: [Unit; 5] = [
    Unit { name: "d", factor: 86_400_000, aliases: &["d", "day", "days"] },
    Unit { name: "h", factor: 3_600_000, aliases: &["h", "hr", "hrs", "hour", "hours"] },
    Unit { name: "m", factor: 60_000, aliases: &["m", "min", "mins", "minute", "minutes"] },
    Unit { name: "s", factor: 1_000, aliases: &["s", "sec", "secs", "second", "seconds"] },
    Unit { name: "ms", factor: 1, aliases: &["ms", "msec", "millis", "milliseconds"] },
];

const BYTES: [Unit; 5] = [
    Unit { name: "TiB", factor: 1 << 40, aliases: &["t", "tb", "tib"] },
    Unit { name: "GiB", factor: 1 << 30, aliases: &["g", "gb", "gib"] },
    Unit { name: "MiB", factor: 1 << 20, aliases: &["m", "mb", "mib"] },
    Unit { name: "KiB", factor: 1 << 10, aliases: &["k", "kb", "kib"] },
    Unit { name: "B", factor: 1, aliases: &["b", "byte", "bytes"] },
];

/// Reads a duration such as `"250ms"`, `"10s"`, `"5m"`, `"72h"` or `"14d"`, of at most [`LONGEST`].
pub fn parse_duration(text: &str) -> Result<Duration, Invalid> {
    match exact(text, &TIME) {
        Exact::Value(ms) if ms <= LONGEST_MS => Ok(Duration::from_millis(ms)),
        Exact::Value(_) | Exact::TooLarge => Err(too_large("longer than 36500d")),
        Exact::Malformed => Err(malformed(text, "a duration", &TIME, "s")),
    }
}

/// Reads a size such as `"512MiB"`, `"20GiB"` or `"0B"`, in bytes.
pub fn parse_size(text: &str) -> Result<u64, Invalid> {
    match exact(text, &BYTES) {
        Exact::Value(bytes) => Ok(bytes),
        Exact::TooLarge => Err(too_large("more bytes than can be counted")),
        Exact::Malformed => Err(malformed(text, "a size", &BYTES, "B")),
    }
}

/// Writes a duration so that [`parse_duration`] reads it back, to the millisecond.
pub fn format_duration(duration: Duration) -> String {
    match u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) {
        0 => "0s".to_owned(),
        ms => format(ms, &TIME),
    }
}

/// Writes a size so that [`parse_size`] reads it back.
pub fn format_size(bytes: u64) -> String {
    match bytes {
        0 => "0B".to_owned(),
        bytes => format(bytes, &BYTES),
    }
}

fn format(value: u64, units: &[Unit]) -> String {
    let fits = units.iter().find(|unit| value.is_multiple_of(unit.factor));
    fits.map_or_else(|| value.to_string(), |unit| format!("{}{}", value / unit.factor, unit.name))
}

enum Exact {
    Value(u64),
    TooLarge,
    Malformed,
}

fn exact(text: &str, units: &[Unit]) -> Exact {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, name) = text.split_at(end);
    let Some(unit) = units.iter().find(|unit| unit.name == name).filter(|_| !digits.is_empty()) else {
        return Exact::Malformed;
    };
    // Only digits are left, so the one way to fail is to be too large.
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit.factor))
        .map_or(Exact::TooLarge, Exact::Value)
}

fn too_large(reason: &str) -> Invalid {
    Invalid { reason: reason.to_owned(), suggestion: None }
}

fn malformed(text: &str, what: &str, units: &[Unit], bare: &'static str) -> Invalid {
    let names: Vec<&str> = units.iter().rev().map(|unit| unit.name).collect();
    let reason = format!("not {what}: a whole number and one of {}", names.join(", "));
    let meant = guess(text, units, bare).map(|value| match bare {
        "s" => format_duration(Duration::from_millis(value)),
        _ => format_size(value),
    });
    Invalid { reason, suggestion: meant }
}

/// What a text such as `1h30m`, `1.5 hours`, `20GB` or `10` probably means, in the smallest unit.
fn guess(text: &str, units: &[Unit], bare: &str) -> Option<u64> {
    let compact: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '_')
        .take(40)
        .collect::<String>()
        .to_ascii_lowercase();
    let mut rest = compact.as_str();
    let mut total = 0_u128;
    while !rest.is_empty() {
        let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits_end);
        let name_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(name_end);
        let name = if name.is_empty() { bare } else { name };
        let unit = units.iter().find(|unit| unit.name == name || unit.aliases.contains(&name))?;
        total = total.checked_add(scaled(number, unit.factor)?)?;
        rest = after;
    }
    u64::try_from(total).ok().filter(|value| *value > 0)
}

/// A decimal number times a factor, exactly, cut to whole units.
fn scaled(number: &str, factor: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    digits.checked_mul(u128::from(factor)).map(|product| product / scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_of_time_is_read() {
        let read: Vec<u128> = ["250ms", "10s", "5m", "72h", "14d", "0s"]
            .iter()
            .map(|text| parse_duration(text).unwrap().as_millis())
            .collect();
        assert_eq!(read, [250, 10_000, 300_000, 259_200_000, 1_209_600_000, 0]);
    }

    #[test]
    fn every_unit_of_size_is_read() {
        let read: Vec<u64> = ["0B", "512B", "1KiB", "512MiB", "20GiB", "2TiB"]
            .iter()
            .map(|text| parse_size(text).unwrap())
            .collect();
        assert_eq!(read, [0, 512, 1024, 536_870_912, 21_474_836_480, 2_199_023_255_552]);
    }

    #[test]
    fn what_overflows_is_refused_and_not_wrapped() {
        let durations = ["36501d", "18446744073709551615d", "99999999999999999999s"];
        assert!(durations.iter().all(|text| parse_duration(text).is_err()));
        assert!(parse_size("16777216TiB").is_err());
        assert_eq!(parse_size("16777215TiB").unwrap(), 16_777_215 << 40);
    }

    #[test]
    fn other_spellings_are_refused_with_what_was_meant() {
        let meant = |text: &str| parse_duration(text).unwrap_err().suggestion().map(str::to_owned);
        let texts = ["10", "1h30m", "1.5h", "2min", "10 s", "1H", "soon", "", "-5s", "0.0001ms", "1..5s"];
        let suggestions: Vec<_> = texts.iter().map(|text| meant(text)).collect();
        let expected = [
            Some("10s"),
            Some("90m"),
            Some("90m"),
            Some("2m"),
            Some("10s"),
            Some("1h"),
            None,
            None,
            None,
            None,
            None,
        ];
        assert_eq!(suggestions, expected.map(|text| text.map(str::to_owned)));
        let size = |text: &str| parse_size(text).unwrap_err().suggestion().map(str::to_owned);
        assert_eq!(size("20GB").as_deref(), Some("20GiB"));
        assert_eq!(size("1.5GiB").as_deref(), Some("1536MiB"));
    }

    #[test]
    fn the_reason_names_every_unit() {
        let reason = parse_duration("soon").unwrap_err().to_string();
        assert_eq!(reason, "not a duration: a whole number and one of ms, s, m, h, d");
    }

    proptest! {
        #[test]
        fn a_written_duration_is_read_back(ms in 0..=LONGEST_MS) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_written_size_is_read_back(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn a_round_number_is_written_short(count in 1..1000_u64) {
            prop_assert_eq!(format_size(count << 40), format!("{count}TiB"));
        }

        #[test]
        fn any_text_is_judged_without_a_panic_and_as_its_pattern_says(text in "[0-9.]{0,22}[a-zA-Z ]{0,4}") {
            let pattern = regex::Regex::new(DURATION_PATTERN).unwrap();
            prop_assert!(parse_duration(&text).is_err() || pattern.is_match(&text));
            let pattern = regex::Regex::new(SIZE_PATTERN).unwrap();
            prop_assert!(parse_size(&text).is_err() || pattern.is_match(&text));
        }

        #[test]
        fn a_suggestion_is_always_itself_valid(text in "[0-9]{1,3}[.]?[0-9]{0,2} ?(h|min|GB|k|s|weeks|)") {
            if let Err(invalid) = parse_duration(&text) {
                prop_assert!(invalid.suggestion().is_none_or(|meant| parse_duration(meant).is_ok()));
            }
            if let Err(invalid) = parse_size(&text) {
                prop_assert!(invalid.suggestion().is_none_or(|meant| parse_size(meant).is_ok()));
            }
        }
    }
}
