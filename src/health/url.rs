//! Just enough of URLs to follow a redirect and to show one without what is secret.

use std::fmt;

use crate::percent::{decoded, encoded};

/// An `http` or `https` address without credentials and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    https: bool,
    /// Host and, where it is named, port; in lower case.
    authority: String,
    /// Begins with a slash.
    path: String,
    /// Without its question mark.
    query: Option<String>,
}

/// User and password, as a URL names them.
pub(super) type Credentials = (String, String);

impl Url {
    /// Reads an absolute address; credentials come apart from it.
    pub(super) fn read(text: &str) -> Option<(Self, Option<Credentials>)> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let rest = without_fragment(rest);
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let (path, query) = path_and_query(rest);
        let path = if path.is_empty() { "/".to_owned() } else { encoded(path) };
        let url = Self { https, authority: host.to_ascii_lowercase(), path, query: query.map(encoded) };
        let has_host = !host.is_empty() && !host.starts_with(':');
        has_host.then(|| (url, userinfo.map(credentials)))
    }

    /// Where a `Location` leads from here; `None`: to something else than http.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let location = without_fragment(location.trim());
        if has_scheme(location) {
            return Some(Self::read(location)?.0);
        }
        if location.starts_with("//") {
            return Some(Self::read(&format!("{}:{location}", self.scheme()))?.0);
        }
        let (path, query) = path_and_query(location);
        if path.is_empty() {
            return Some(Self { query: query.map(encoded).or_else(|| self.query.clone()), ..self.clone() });
        }
        let folder = self.path.rfind('/').map_or("", |end| &self.path[..=end]);
        let path = if path.starts_with('/') { encoded(path) } else { format!("{folder}{}", encoded(path)) };
        Some(Self { path: without_dots(&path), query: query.map(encoded), ..self.clone() })
    }

    /// The same with one more query parameter.
    pub(super) fn with_parameter(&self, parameter: &str) -> Self {
        let before = self.query.as_deref().filter(|query| !query.is_empty());
        let query = before.map_or_else(|| parameter.to_owned(), |query| format!("{query}&{parameter}"));
        Self { query: Some(query), ..self.clone() }
    }

    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// Whether what was meant for `self` may be sent to `other`: the same host and port, or the same host over https.
    pub(super) fn trusts(&self, other: &Self) -> bool {
        let same_place = self.https == other.https && self.port() == other.port();
        self.host() == other.host() && (same_place || (!self.https && other.https))
    }

    /// What a person is shown: without the query, which may hold a token.
    pub(super) fn shown(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority, self.path)
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The colon of a port comes after the bracket of an IPv6 address.
    fn host_and_port(&self) -> (&str, Option<&str>) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (&self.authority, None),
        }
    }

    fn host(&self) -> &str {
        self.host_and_port().0
    }

    fn port(&self) -> &str {
        let default = if self.https { "443" } else { "80" };
        self.host_and_port().1.filter(|port| !port.is_empty()).unwrap_or(default)
    }
}

/// The whole address, fit for a request.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

fn without_fragment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}

fn path_and_query(text: &str) -> (&str, Option<&str>) {
    text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)))
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn credentials(userinfo: &str) -> Credentials {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    (decoded(user), decoded(password))
}

/// Resolves `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
    }
    let is_folder = path.ends_with("/.") || path.ends_with("/..");
    format!("/{}{}", kept.join("/"), if is_folder && !kept.is_empty() { "/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::read(text).unwrap().0
    }

    #[test]
    fn an_address_is_read_and_written_back() {
        for text in ["http://a/", "https://a:8443/x/y?z=1&u=http://b/", "http://[::1]:80/x"] {
            assert_eq!(url(text).to_string(), text);
        }
        assert_eq!(url("HTTP://A.Example?x#y").to_string(), "http://a.example/?x");
        assert_eq!(url("http://a/ü b").to_string(), "http://a/%C3%BC%20b");
    }

    #[test]
    fn what_is_no_http_address_is_refused() {
        for text in ["", "a/b", "ftp://a/", "http://", "http://:80/", "http:///x", "file:///etc/passwd"] {
            assert!(Url::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn credentials_come_apart_and_decoded() {
        let (url, credentials) = Url::read("http://me:p%3A%ssw@rd@a:1/x").unwrap();
        assert_eq!(url.to_string(), "http://a:1/x");
        assert_eq!(credentials, Some(("me".to_owned(), "p:%ssw@rd".to_owned())));
    }

    #[test]
    fn a_location_is_resolved_as_a_browser_would() {
        let base = url("http://a:1/b/c/d;p?q");
        let cases = [
            ("https://x/y", "https://x/y"),
            ("//x/y", "http://x/y"),
            ("/g", "http://a:1/g"),
            ("g", "http://a:1/b/c/g"),
            ("./g?y", "http://a:1/b/c/g?y"),
            ("../g", "http://a:1/b/g"),
            ("../../../g", "http://a:1/g"),
            ("..", "http://a:1/b/"),
            ("?y", "http://a:1/b/c/d;p?y"),
            ("", "http://a:1/b/c/d;p?q"),
            ("#s", "http://a:1/b/c/d;p?q"),
            ("g/./h/../i", "http://a:1/b/c/g/i"),
        ];
        for (location, wanted) in cases {
            assert_eq!(base.join(location).unwrap().to_string(), wanted, "{location}");
        }
        assert_eq!(base.join("mailto:me@a"), None);
    }

    #[test]
    fn secrets_stay_with_their_host_and_never_go_back_to_plain_http() {
        let cases = [
            ("http://a/", "http://a/x", true),
            ("http://a/", "http://a:80/", true),
            ("http://a:8080/", "https://a/", true),
            ("https://a/", "http://a/", false),
            ("https://a/", "https://b/", false),
            ("https://a/", "https://a:444/", false),
            ("http://a:1/", "http://a:2/", false),
        ];
        for (from, to, wanted) in cases {
            assert_eq!(url(from).trusts(&url(to)), wanted, "{from} -> {to}");
        }
    }

    #[test]
    fn a_person_is_not_shown_the_query() {
        assert_eq!(url("https://me:pw@a/x?token=s3cret").shown(), "https://a/x");
    }

    #[test]
    fn a_parameter_is_added_to_any_query() {
        assert_eq!(url("http://a/?x=1").with_parameter("n=2").to_string(), "http://a/?x=1&n=2");
        assert_eq!(url("http://a/?").with_parameter("n=2").to_string(), "http://a/?n=2");
    }
}
