//! An HTTP check: ask, follow redirects, ask again past a cache, judge the answer.

use std::time::Duration;

use serde_json::Value;

use super::mixed_content;
use super::url::{Credentials, Url};
use crate::config::model::{BasicAuth, Http};
use crate::credential;
use crate::sys::clock::{self, Deadline};
use crate::sys::http::{self, Method, Request, Response, Roots};

/// The most that is read of a body, in bytes.
const BODY_LIMIT: usize = 4 << 20;

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// How much of a value or text a failure shows, in characters.
const SHOWN: usize = 100;

/// Asks and judges; the error is what a person reads. All of it ends within `timeout`.
pub(super) fn probe(check: &Http, timeout: Duration) -> Result<(), String> {
    let (home, credentials) = Url::read(&check.url).ok_or("the url is not an http or https address")?;
    let asking = Asking {
        check,
        own_headers: own_headers(check, credentials.as_ref())?,
        deadline: Deadline::after(timeout),
        timeout,
        home,
    };
    let mut answer = asking.ask(asking.home.clone())?;
    if came_from_a_cache(&answer.response) {
        let nonce = format!("_warmkeep={}", clock::now().as_millisecond());
        answer = asking.ask(answer.url.with_parameter(&nonce))?;
    }
    judge(check, &answer)
}

/// One check under way.
struct Asking<'a> {
    check: &'a Http,
    home: Url,
    /// Headers and credentials of the configuration: they are for `home` alone.
    own_headers: Vec<(String, String)>,
    deadline: Deadline,
    timeout: Duration,
}

/// The last response, and where it came from.
struct Answer {
    url: Url,
    response: Response,
}

impl Asking<'_> {
    /// Asks `url` and wherever it leads.
    fn ask(&self, mut url: Url) -> Result<Answer, String> {
        for _ in 0..=REDIRECTS {
            let response = self.send(&url)?;
            let Some(location) = self.leads_on(&response) else { return Ok(Answer { url, response }) };
            url = url.join(location).ok_or("it redirects to something that is no http address")?;
        }
        Err(format!("it redirects more than {REDIRECTS} times, the last time to {}", url.shown()))
    }

    /// Where a redirect leads, unless its status is itself a wanted one.
    fn leads_on<'r>(&self, response: &'r Response) -> Option<&'r str> {
        let redirects = matches!(response.status, 301 | 302 | 303 | 307 | 308);
        let wanted = self.check.status.contains(&response.status);
        if redirects && !wanted { response.header("location") } else { None }
    }

    fn send(&self, url: &Url) -> Result<Response, String> {
        let left = self.deadline.left();
        if left.is_zero() {
            return Err(timed_out(self.timeout));
        }
        let mut headers: Vec<(String, String)> =
            if self.home.trusts(url) { self.own_headers.clone() } else { Vec::new() };
        for (name, value) in [("Cache-Control", "no-cache"), ("Pragma", "no-cache")] {
            if !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let request = Request {
            method: Method::Get,
            url: &url.to_string(),
            headers: &headers,
            roots: self.check.ca_file.as_deref().map_or(Roots::System, Roots::Only),
            timeout: left,
            body_limit: BODY_LIMIT,
        };
        http::send(&request).map_err(|failure| match failure {
            http::Failure::TimedOut(_) => timed_out(self.timeout),
            failure => failure.to_string(),
        })
    }
}

fn timed_out(timeout: Duration) -> String {
    http::Failure::TimedOut(timeout).to_string()
}

fn own_headers(check: &Http, of_url: Option<&Credentials>) -> Result<Vec<(String, String)>, String> {
    let mut headers: Vec<(String, String)> =
        check.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let authorization = match (&check.basic_auth, of_url) {
        (Some(auth), _) => Some(from_file(auth)?),
        (None, Some((user, password))) => Some(http::basic_authorization(user, password)),
        (None, None) => None,
    };
    if let Some(authorization) = authorization {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        headers.push(("Authorization".to_owned(), authorization));
    }
    Ok(headers)
}

/// The password is read at each probe: it may have been changed.
fn from_file(auth: &BasicAuth) -> Result<String, String> {
    let password = credential::read(&auth.password_file).map_err(|error| error.chain())?;
    Ok(http::basic_authorization(&auth.user, &password))
}

/// An age, or a cache that says it had it.
fn came_from_a_cache(response: &Response) -> bool {
    let aged =
        response.header("age").and_then(|age| age.trim().parse::<u64>().ok()).is_some_and(|age| age > 0);
    let says_hit = |name: &str| {
        let words = response.header(name).unwrap_or("").to_ascii_lowercase();
        words.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "hit")
    };
    aged || ["x-cache", "x-cache-status", "cf-cache-status"].into_iter().any(says_hit)
}

fn judge(check: &Http, answer: &Answer) -> Result<(), String> {
    let response = &answer.response;
    status(&check.status, response.status)?;
    if let Some(text) = &check.body_contains {
        body_contains(response, text)?;
    }
    if let Some(pointer) = &check.json_pointer {
        json(response, pointer, &check.json_in)?;
    }
    if check.no_mixed_content {
        if !answer.url.is_https() {
            return Err(format!("the page is not https: it ended at {}", answer.url.shown()));
        }
        mixed_content::check(&String::from_utf8_lossy(&response.body))?;
    }
    Ok(())
}

/// Without a list, every success passes.
fn status(wanted: &[u16], status: u16) -> Result<(), String> {
    let passes = if wanted.is_empty() { (200..300).contains(&status) } else { wanted.contains(&status) };
    if passes {
        return Ok(());
    }
    let list: Vec<String> = wanted.iter().map(u16::to_string).collect();
    let wanted = if list.is_empty() { "200 to 299".to_owned() } else { list.join(" or ") };
    Err(format!("status {status}, wanted {wanted}"))
}

fn body_contains(response: &Response, text: &str) -> Result<(), String> {
    if String::from_utf8_lossy(&response.body).contains(text) {
        return Ok(());
    }
    let part = if response.cut { " in its first 4 MiB" } else { "" };
    Err(format!("the body does not contain {}{part}", shown(&format!("{text:?}"))))
}

fn json(response: &Response, pointer: &str, wanted: &[Value]) -> Result<(), String> {
    if response.cut {
        return Err("the body is longer than 4 MiB, too long to be read as JSON".to_owned());
    }
    let body: Value =
        serde_json::from_slice(&response.body).map_err(|error| format!("the body is not JSON: {error}"))?;
    let place = if pointer.is_empty() { "the body" } else { pointer };
    let found = body.pointer(pointer).ok_or_else(|| format!("the JSON body has no {place}"))?;
    if wanted.is_empty() {
        return if found.is_null() { Err(format!("{place} is null")) } else { Ok(()) };
    }
    if wanted.iter().any(|value| same(value, found)) {
        return Ok(());
    }
    let list: Vec<String> = wanted.iter().map(Value::to_string).collect();
    Err(format!("{place} is {}, wanted one of {}", shown(&found.to_string()), shown(&list.join(", "))))
}

/// As JSON means it: 1 and 1.0 are one number.
fn same(a: &Value, b: &Value) -> bool {
    let fractional = a.is_f64() || b.is_f64();
    a == b || (fractional && a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a.total_cmp(&b).is_eq()))
}

fn shown(text: &str) -> String {
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain("…".chars()).collect()
}

#[cfg(test)]
mod tests;
