//! Calendar expressions of systemd, as systemd.time(7) describes them: `Mon..Fri *-*-* 02:30 Europe/Berlin`.
//!
//! What is refused here is refused by systemd too, and the other way round, with one exception: whether the host knows a
//! time zone is for the host to say. Any name that looks like one is taken.

/// The seven days, from Monday, in lower case.
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Words that stand for a whole expression.
const WORDS: [&str; 13] = [
    "minutely",
    "hourly",
    "daily",
    "monthly",
    "weekly",
    "yearly",
    "annually",
    "anually",
    "quarterly",
    "biannually",
    "bi-annually",
    "semiannually",
    "semi-annually",
];

/// The last second of 2199, the last year that systemd counts.
const LAST_SECOND: u64 = 7_258_118_399;

/// Numbers are counted in millionths, because seconds have fractions.
const ONE: u64 = 1_000_000;

/// What is wrong, in the words of an error.
type Checked<T = ()> = Result<T, String>;

/// Says what is wrong with an expression.
pub(super) fn check(expression: &str) -> Checked {
    let rest = without_zone(expression);
    if WORDS.iter().any(|word| rest.eq_ignore_ascii_case(word)) {
        return Ok(());
    }
    if rest.is_empty() {
        return Err("nothing says when".to_owned());
    }
    let rest = weekdays(rest)?;
    if let Some(second) = rest.strip_prefix('@') {
        return epoch(second);
    }
    let (date, time) = parts(rest)?;
    if let Some(date) = date {
        check_date(date)?;
    }
    time.map_or(Ok(()), check_time)
}

/// The expression without the time zone at its end.
fn without_zone(expression: &str) -> &str {
    match expression.rsplit_once(' ') {
        Some((rest, zone)) if zone.eq_ignore_ascii_case("UTC") || is_zone(zone) => rest,
        _ => expression,
    }
}

fn is_zone(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '/');
    let begins = word.starts_with(|c: char| c.is_ascii_uppercase());
    begins && word.chars().all(fits) && day_at(word).is_none()
}

/// The weekday that a text begins with, and what comes after it.
fn day_at(text: &str) -> Option<(usize, &str)> {
    let begins = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let length = |day: &str| [day, &day[..3]].into_iter().find(|name| begins(name)).map(str::len);
    let (number, length) = DAYS.iter().enumerate().find_map(|(number, day)| Some((number, length(day)?)))?;
    Some((number, &text[length..]))
}

/// Passes over the weekdays, if there are any: `Mon`, `Mon,Wed..Fri`.
fn weekdays(text: &str) -> Checked<&str> {
    let mut rest = text;
    let mut from = None;
    loop {
        let Some((day, after)) = day_at(rest) else {
            return if rest == text { Ok(text) } else { Err(no_day(rest)) };
        };
        if from.is_some_and(|from| from > day) {
            return Err("the days of a week go from Monday to Sunday".to_owned());
        }
        let range = after.strip_prefix("..").or_else(|| after.strip_prefix('-'));
        let next = after.strip_prefix(',');
        if after.is_empty() || after.starts_with(' ') {
            return Ok(after.trim_start_matches(' '));
        } else if let Some(after) = range.filter(|_| from.is_none()) {
            (rest, from) = (after, Some(day));
        } else if let Some(after) = next {
            (rest, from) = (after, None);
            // A comma may end the list.
            if rest.is_empty() || rest.starts_with(' ') {
                return Ok(rest.trim_start_matches(' '));
            }
        } else {
            return Err(no_day(rest));
        }
    }
}

fn no_day(text: &str) -> String {
    format!("{:?} does not begin with the name of a day", text.split(' ').next().unwrap_or_default())
}

fn epoch(second: &str) -> Checked {
    match second.parse::<u64>() {
        Ok(number) if number <= LAST_SECOND && is_number(second) => Ok(()),
        _ => Err(format!("{second:?} is no second since 1970")),
    }
}

/// The date and the time; either may be absent.
fn parts(rest: &str) -> Checked<(Option<&str>, Option<&str>)> {
    let Some((first, more)) = rest.split_once(' ') else {
        return Ok(match rest {
            "" => (None, None),
            time if time.contains(':') => (None, Some(time)),
            date => (Some(date), None),
        });
    };
    let time = more.trim_start_matches(' ');
    if first.contains(':') || time.contains(' ') {
        return Err("only a date, a time and a time zone can stand after the days".to_owned());
    }
    Ok((Some(first), (!time.is_empty()).then_some(time)))
}

fn check_date(date: &str) -> Checked {
    let Some(at) = date.rfind(['-', '~']) else {
        return Err(format!("{date:?} is neither a date, such as 12-31, nor a time, such as 03:00"));
    };
    let (before, day) = (&date[..at], &date[at + 1..]);
    match before.split_once('-') {
        Some((year, month)) => YEAR.check(year).and_then(|()| MONTH.check(month))?,
        None => MONTH.check(before)?,
    }
    if date[at..].starts_with('~') { DAY_FROM_END.check(day) } else { DAY.check(day) }
}

fn check_time(time: &str) -> Checked {
    let parts: Vec<&str> = time.split(':').collect();
    match parts.as_slice() {
        [hour, minute] => HOUR.check(hour).and_then(|()| MINUTE.check(minute)),
        [hour, minute, second] => {
            HOUR.check(hour).and_then(|()| MINUTE.check(minute)).and_then(|()| SECOND.check(second))
        }
        _ => Err(format!("{time:?} is no time, such as 03:00 or 03:00:30")),
    }
}

/// A field of a date or a time, from where to where it goes, and what sort it is.
struct Field {
    name: &'static str,
    from: u64,
    to: u64,
    sort: Sort,
}

#[derive(PartialEq, Eq)]
enum Sort {
    Plain,
    /// Of two digits, it is one of this century or the last.
    Year,
    /// It is counted backwards.
    FromEnd,
    /// It may have a fraction.
    Second,
}

const YEAR: Field = Field { name: "year", from: 1970, to: 2199, sort: Sort::Year };
const MONTH: Field = Field { name: "month", from: 1, to: 12, sort: Sort::Plain };
const DAY: Field = Field { name: "day", from: 1, to: 31, sort: Sort::Plain };
/// The shortest month must have it.
const DAY_FROM_END: Field = Field { name: "day from the end", from: 1, to: 28, sort: Sort::FromEnd };
const HOUR: Field = Field { name: "hour", from: 0, to: 23, sort: Sort::Plain };
const MINUTE: Field = Field { name: "minute", from: 0, to: 59, sort: Sort::Plain };
const SECOND: Field = Field { name: "second", from: 0, to: 59, sort: Sort::Second };

impl Field {
    /// `*`, or numbers and ranges with commas between.
    fn check(&self, text: &str) -> Checked {
        if text == "*" {
            return Ok(());
        }
        text.split(',').try_for_each(|part| self.check_part(part))
    }

    /// `5`, `5..10`, `5/2` or `5..10/2`.
    fn check_part(&self, part: &str) -> Checked {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let step = step.map(|step| self.number(step)).transpose()?;
        if step == Some(0) {
            return Err(format!("the {} {part:?} is repeated every 0", self.name));
        }
        match range.split_once("..") {
            Some((from, to)) => {
                let (from, to) = (self.bounded(from)?, self.in_full(self.number(to)?));
                // Without a step of its own, a range of seconds goes in whole ones.
                let least = if self.sort == Sort::Second && step.is_none() { ONE } else { 0 };
                let way = to.checked_sub(from).filter(|way| *way >= least);
                let way = way.ok_or_else(|| format!("the {} {part:?} goes nowhere", self.name))?;
                // What counts is the last number that is reached.
                self.within(to - way % step.unwrap_or(ONE), part).map(drop)
            }
            None => {
                let from = self.bounded(range)?;
                if step.is_none_or(|step| self.reaches(from, step)) {
                    Ok(())
                } else {
                    Err(format!("the {} {part:?} is never repeated", self.name))
                }
            }
        }
    }

    /// Whether at least one repetition fits.
    fn reaches(&self, from: u64, step: u64) -> bool {
        match self.sort {
            Sort::FromEnd => from.checked_sub(step).is_some_and(|at| at >= self.from * ONE),
            _ => from.checked_add(step).is_some_and(|at| at <= self.last()),
        }
    }

    fn bounded(&self, text: &str) -> Checked<u64> {
        self.within(self.in_full(self.number(text)?), text)
    }

    fn in_full(&self, number: u64) -> u64 {
        match (number, &self.sort) {
            (year, Sort::Year) if year < 70 * ONE => year + 2000 * ONE,
            (year, Sort::Year) if year < 100 * ONE => year + 1900 * ONE,
            (number, _) => number,
        }
    }

    fn within(&self, number: u64, text: &str) -> Checked<u64> {
        if (self.from * ONE..=self.last()).contains(&number) {
            return Ok(number);
        }
        Err(format!("the {} {text:?} is not from {} to {}", self.name, self.from, self.to))
    }

    fn last(&self) -> u64 {
        if self.sort == Sort::Second { self.to * ONE + ONE - 1 } else { self.to * ONE }
    }

    /// A number in millionths, rounded.
    fn number(&self, text: &str) -> Checked<u64> {
        let wrong = || format!("{text:?} is no {}", self.name);
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if self.sort == Sort::Second && is_number(fraction) => (whole, fraction),
            None => (text, "0"),
            Some(_) => return Err(wrong()),
        };
        let whole = whole.parse::<u64>().ok().filter(|_| is_number(whole)).ok_or_else(wrong)?;
        let millionths = (format!("{fraction:0<7.7}").parse::<u64>().map_err(|_| wrong())? + 5) / 10;
        whole.checked_mul(ONE).and_then(|number| number.checked_add(millionths)).ok_or_else(wrong)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sys::process::Program;

    #[test]
    fn what_is_wrong_is_said() {
        let said = |text| check(text).unwrap_err();
        assert_eq!(said(""), "nothing says when");
        assert_eq!(said("3"), "\"3\" is neither a date, such as 12-31, nor a time, such as 03:00");
        assert_eq!(said("daly"), "\"daly\" is neither a date, such as 12-31, nor a time, such as 03:00");
        assert_eq!(said("24:00"), "the hour \"24\" is not from 0 to 23");
        assert_eq!(said("3:00pm"), "\"00pm\" is no minute");
        assert_eq!(said("Fri..Mon 3:00"), "the days of a week go from Monday to Sunday");
        assert_eq!(said("Mon,Foo 3:00"), "\"Foo\" does not begin with the name of a day");
        assert_eq!(said("0/60:00"), "the hour \"0/60\" is never repeated");
        assert_eq!(said("5..3:00"), "the hour \"5..3\" goes nowhere");
        assert_eq!(said("2-30 3:00 4:00"), "only a date, a time and a time zone can stand after the days");
    }

    /// Text that is often an expression, and often nearly one.
    fn expressions() -> impl Strategy<Value = String> {
        let day = "(Mon|tue|Wednesday|SUN)";
        let days = format!("({day}(,|\\.\\.|-)){{0,2}}{day}?,?");
        let part = "([0-9]{1,2}|0|28|31|59|2020|1969|5)(\\.\\.([0-9]{1,2}|2199))?(/[0-9]{1,2})?";
        let chain = format!("(\\*|{part}|{part},{part}|[0-9]?[0-9])");
        let date = format!("({chain}-)?{chain}[-~]{chain}");
        let second = "(\\*|[0-5]?[0-9](\\.[0-9]{1,7})?(\\.\\.[0-9]{1,2}(\\.[0-9])?)?(/[0-9](\\.[0-9])?)?)";
        let time = format!("{chain}:{chain}(:{second})?");
        let zone = "( UTC| utc| Europe/Berlin|)";
        let all = format!("(({days} )?({date})?( ?{time})?|@[0-9]{{1,12}}|daily|Weekly){zone}");
        proptest::string::string_regex(&all).unwrap()
    }

    fn systemd_takes(expression: &str) -> bool {
        Program::new(["systemd-analyze", "calendar", "--", expression]).run_ok().is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

        #[test]
        fn what_is_taken_is_what_systemd_takes(expression in expressions()) {
            if Program::new(["systemd-analyze", "--version"]).run_ok().is_err() {
                return Ok(());
            }
            prop_assert_eq!(check(&expression).is_ok(), systemd_takes(&expression), "{:?}", check(&expression));
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in ".{0,20}|[0-9a-zA-Z*:~/,. @-]{0,30}") {
            let _ = check(&text);
        }
    }
}
