//! Tests against real repositories on this host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::model::{Order, Source};
use crate::sys::files;
use crate::sys::process::Program;
use crate::versions::source::{Ask, Listing, list};

struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let repository = Self { dir: tempfile::tempdir().unwrap() };
        files::create_dir_private(&repository.path()).unwrap();
        repository.git(&["init", "--quiet"]);
        repository
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("repository")
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache").join("tags")
    }

    /// Whatever git is told by whoever runs the tests, a hook perhaps, is not for this repository.
    fn environment(&self) -> BTreeMap<String, String> {
        let path = self.path().display().to_string();
        let vars = [
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
            ("GIT_DIR", format!("{path}/.git")),
            ("GIT_WORK_TREE", path),
        ];
        vars.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn git(&self, args: &[&str]) {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "tag.gpgSign=false"];
        Program::new(["git"].iter().chain(&who).chain(args).copied())
            .envs(&self.environment())
            .dir(self.path())
            .run_ok()
            .unwrap();
    }

    /// Commits at a fixed time and tags the commit an hour later.
    fn release(&self, day: u32, tag: &str, message: Option<&str>) {
        let commit = format!("2026-01-{day:02}T00:00:00Z");
        let tagged = format!("2026-01-{day:02}T01:00:00Z");
        let run = |date: &str, args: &[&str]| {
            let script = "GIT_COMMITTER_DATE=$0 GIT_AUTHOR_DATE=$0 exec git -c user.name=t -c user.email=t@e.org \"$@\"";
            Program::new(["sh", "-c", script, date].iter().chain(args).copied())
                .envs(&self.environment())
                .dir(self.path())
                .run_ok()
                .unwrap();
        };
        files::write_cache(&self.path().join("file"), tag.as_bytes()).unwrap();
        run(&commit, &["add", "file"]);
        run(&commit, &["commit", "--quiet", "-m", "manual migration of the build"]);
        match message {
            Some(message) => run(&tagged, &["tag", "-a", tag, "-m", message]),
            None => run(&tagged, &["tag", tag]),
        }
    }

    fn list(&self, prefix: &str) -> crate::error::Result<Listing> {
        self.list_url(self.path().to_str().unwrap(), prefix)
    }

    fn list_url(&self, url: &str, prefix: &str) -> crate::error::Result<Listing> {
        let source = Source::Git { url: url.to_owned(), tag_prefix: prefix.to_owned() };
        let timeout = Duration::from_secs(30);
        list(&Ask { source: &source, order: Order::Semver, cache: &self.cache(), timeout })
    }

    fn versions(&self, prefix: &str) -> Vec<String> {
        let releases = self.list(prefix).unwrap().releases;
        releases.into_iter().map(|r| r.version.as_str().to_owned()).collect()
    }
}

#[test]
fn tags_come_with_their_dates_and_messages() {
    let repository = Repository::new();
    repository.release(1, "v1.0.0", Some("First\n\nmany\n\nlines: \"quoted\" %00\nmanual migration"));
    repository.release(2, "v1.1.0", None);
    let releases = repository.list("v").unwrap().releases;
    let [first, second] = releases.as_slice() else { panic!("{releases:?}") };
    assert_eq!(first.version.as_str(), "1.0.0");
    assert_eq!(first.released_at, Some("2026-01-01T01:00:00Z".parse().unwrap()));
    assert_eq!(first.notes.as_deref(), Some("First\n\nmany\n\nlines: \"quoted\" %00\nmanual migration"));
    assert_eq!(second.released_at, Some("2026-01-02T00:00:00Z".parse().unwrap()));
    assert_eq!(second.notes, None);
}

#[test]
fn tags_without_the_prefix_are_passed_over_in_silence() {
    let repository = Repository::new();
    repository.release(1, "app-1.0.0", None);
    repository.release(2, "lib-9.0.0", None);
    let listing = repository.list("app-").unwrap();
    assert_eq!((listing.releases.len(), listing.passed_over.len()), (1, 0));
}

#[test]
fn a_tag_with_a_slash_is_passed_over_with_the_reason() {
    let repository = Repository::new();
    repository.release(1, "old/1.0.0", None);
    let listing = repository.list("").unwrap();
    assert_eq!(listing.passed_over[0].text, "old/1.0.0");
}

#[test]
fn new_tags_are_found_and_deleted_ones_are_forgotten() {
    let repository = Repository::new();
    repository.release(1, "1.0.0", None);
    assert_eq!(repository.versions(""), ["1.0.0"]);
    assert_eq!(repository.versions(""), ["1.0.0"]);
    repository.release(2, "1.1.0", None);
    repository.git(&["tag", "-d", "1.0.0"]);
    assert_eq!(repository.versions(""), ["1.1.0"]);
    repository.git(&["tag", "-d", "1.1.0"]);
    assert!(repository.versions("").is_empty());
}

#[test]
fn a_moved_tag_is_followed() {
    let repository = Repository::new();
    repository.release(1, "1.0.0", Some("before"));
    repository.list("").unwrap();
    repository.git(&["tag", "-f", "-a", "1.0.0", "-m", "after"]);
    assert_eq!(repository.list("").unwrap().releases[0].notes.as_deref(), Some("after"));
}

#[test]
fn no_files_of_the_repository_are_fetched() {
    let repository = Repository::new();
    repository.release(1, "1.0.0", None);
    repository.release(2, "1.1.0", None);
    repository.list("").unwrap();
    let git_dir = format!("--git-dir={}", repository.cache().display());
    let count = ["git", &git_dir, "cat-file", "--batch-check", "--batch-all-objects"];
    let objects = String::from_utf8(Program::new(count).run_ok().unwrap().stdout).unwrap();
    assert!(
        objects.lines().count() == 2 && objects.lines().all(|line| line.contains(" commit ")),
        "{objects}"
    );
}

#[test]
fn a_broken_cache_is_made_anew() {
    let repository = Repository::new();
    repository.release(1, "1.0.0", None);
    repository.list("").unwrap();
    for broken in ["objects", "refs"] {
        files::remove_tree(&repository.cache().join(broken)).unwrap();
        files::write_cache(&repository.cache().join("packed-refs"), b"rubbish").unwrap();
        assert_eq!(repository.versions(""), ["1.0.0"], "{broken}");
    }
    files::remove_tree(&repository.cache()).unwrap();
    files::create_dir_private(&repository.cache()).unwrap();
    assert_eq!(repository.versions(""), ["1.0.0"]);
}

#[test]
fn more_messages_than_come_at_once_are_read_in_parts() {
    let repository = Repository::new();
    repository.release(1, "1.0.0", Some("first"));
    for minor in 1..5 {
        let message = repository.dir.path().join("message");
        files::write_cache(&message, format!("n{minor}\n\n{}", "x y\n".repeat(100_000)).as_bytes()).unwrap();
        repository.git(&["tag", "-a", &format!("1.{minor}.0"), "-F", message.to_str().unwrap()]);
    }
    let releases = repository.list("").unwrap().releases;
    let begin: Vec<_> = releases.iter().map(|r| r.notes.as_ref().unwrap().lines().next().unwrap()).collect();
    assert_eq!(begin, ["first", "n1", "n2", "n3", "n4"]);
    assert!(releases[1].notes.as_ref().unwrap().len() > 390_000);
}

#[test]
fn a_tag_of_something_else_than_a_commit_has_no_age() {
    let repository = Repository::new();
    repository.release(1, "1.0.0", None);
    repository.git(&["tag", "2.0.0", "HEAD:file"]);
    let releases = repository.list("").unwrap().releases;
    assert_eq!(releases[1].released_at, None);
}

#[test]
fn an_empty_repository_has_no_releases() {
    assert_eq!(Repository::new().list("").unwrap(), Listing::default());
}

#[test]
fn a_repository_of_another_user_is_read() {
    let repository = Repository::new();
    repository.release(1, "1.0.0", None);
    // Only root can give a repository away; where the tests run as somebody else it stays their own.
    let given = Program::new(["chown", "-R", "65534", repository.path().to_str().unwrap()]).run().unwrap();
    assert_eq!(repository.versions(""), ["1.0.0"], "{}", given.complaint());
}

#[test]
fn a_missing_repository_is_an_error_that_names_it() {
    let repository = Repository::new();
    let error = repository.list_url("/nonexistent/app.git", "").unwrap_err();
    assert!(error.chain().contains("/nonexistent/app.git"), "{}", error.chain());
    assert!(error.hint().unwrap().contains("versions.source.git.url"));
}

#[test]
fn credentials_are_in_no_error() {
    let repository = Repository::new();
    let error = repository.list_url("http://bot:s3cret@127.0.0.1:1/r.git", "").unwrap_err();
    assert!(error.chain().contains("127.0.0.1:1/r.git"), "{}", error.chain());
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn a_hostile_url_is_refused_before_git_is_started() {
    let repository = Repository::new();
    let marker = repository.dir.path().join("marker");
    let url = format!("ext::sh -c touch% {}", marker.display());
    assert!(repository.list_url(&url, "").is_err());
    assert!(!files::exists(Path::new(&marker)));
}
