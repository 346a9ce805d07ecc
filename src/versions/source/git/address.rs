//! What git is given as a remote: checked, and parted from its credentials.

use crate::error::{Error, Result};
use crate::percent::decoded;

/// A remote that is safe to give to git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    url: String,
    credentials: Option<(String, String)>,
}

impl Address {
    /// Takes a url, an absolute path, or `host:path` as ssh spells it.
    pub(super) fn read(url: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::usage(format!("the git url {why}"))
                .remedy("write https://…, ssh://…, file:///… or an absolute path"))
        };
        if url.is_empty() || url.starts_with('-') || url.chars().any(char::is_control) {
            return refuse("is empty, begins with `-`, or has control characters in it");
        }
        if is_transport_helper(url) {
            return refuse("names a transport helper, which would run a program");
        }
        match url.split_once("://") {
            Some((scheme @ ("https" | "http"), rest)) => Ok(Self::web(scheme, rest)),
            Some(("ssh" | "git" | "file", _)) => Ok(Self::plain(url)),
            Some(_) => refuse("has an unknown scheme"),
            None if url.starts_with('/') || is_scp_like(url) => Ok(Self::plain(url)),
            None => refuse("is a relative path"),
        }
    }

    /// The url without credentials: fit for git, and for a person to see.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// User and password, where the url named them.
    pub(super) fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Whether the repository lies on this host.
    pub(super) fn is_local(&self) -> bool {
        self.url.starts_with('/') || self.url.starts_with("file://")
    }

    fn plain(url: &str) -> Self {
        Self { url: url.to_owned(), credentials: None }
    }

    fn web(scheme: &str, rest: &str) -> Self {
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        let credentials = userinfo.map(|userinfo| {
            let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
            (decoded(user), decoded(password))
        });
        Self { url: format!("{scheme}://{host}{path}"), credentials }
    }
}

/// `ext::sh -c …`, `fd::…`: git would run `git-remote-ext`.
fn is_transport_helper(url: &str) -> bool {
    url.split_once("::")
        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || "+.-_".contains(c)))
}

fn is_scp_like(url: &str) -> bool {
    url.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_could_run_a_program_are_refused() {
        for url in ["", "-u/bin/sh", "--upload-pack=x", "ext::sh -c id", "fd::3", "::x", "a\nb", "foo://x/y"]
        {
            assert!(Address::read(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn a_relative_path_is_refused_since_nobody_knows_what_to() {
        assert!(Address::read("repos/app").unwrap_err().hint().unwrap().contains("absolute path"));
    }

    #[test]
    fn what_git_users_write_is_taken() {
        for url in
            ["/srv/r", "file:///srv/r", "https://h/r.git", "ssh://git@h/r", "git@h:r.git", "https://[::1]/r"]
        {
            assert_eq!(Address::read(url).unwrap().url(), url);
        }
    }

    #[test]
    fn credentials_are_parted_from_the_url_and_decoded() {
        let address = Address::read("https://bot:p%40ss%ZZ@host:8443/a/b@c").unwrap();
        assert_eq!(address.url(), "https://host:8443/a/b@c");
        assert_eq!(address.credentials(), Some(("bot", "p@ss%ZZ")));
    }

    #[test]
    fn a_token_without_a_password_is_a_user() {
        let address = Address::read("https://token@host/r").unwrap();
        assert_eq!((address.url(), address.credentials()), ("https://host/r", Some(("token", ""))));
    }
}
