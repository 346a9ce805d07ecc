//! Did you mean …?

/// Names longer than this are not compared: distance costs their product.
const LONGEST: usize = 64;

/// The candidate that was probably meant, if one is near enough.
pub(super) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let plain = plain(word);
    let tolerated = 1 + plain.len() / 4;
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= tolerated + 2)
        .map(|candidate| (distance(&plain, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= tolerated && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(plain_word: &str, candidate: &str) -> usize {
    strsim::osa_distance(plain_word, &plain(candidate))
}

/// Case and word separators do not tell names apart: `state_dir` is `stateDir`.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_seen_through() {
        let keys = ["driver", "versions", "health", "stateDir"];
        let meant: Vec<_> =
            ["verions", "state_dir", "HEALTH", "dirver"].iter().map(|word| closest(word, keys)).collect();
        assert_eq!(meant, [Some("versions"), Some("stateDir"), Some("health"), Some("driver")]);
    }

    #[test]
    fn something_else_altogether_suggests_nothing() {
        assert_eq!(closest("banana", ["driver", "versions", "after"]), None);
        assert_eq!(closest("x", ["y", "z"]), None);
        assert_eq!(closest(&"driver".repeat(1000), ["driver"]), None);
    }
}
