//! The tags of a repository, with their dates and messages: only the tagged commits are fetched, no trees, no files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::{Ask, Found};
use crate::error::{Error, Kind, Result};
use crate::sys::clock::{Deadline, sleep};
use crate::sys::process::{Output, Program};
use crate::sys::{env, files, lock};

mod address;
use address::Address;

/// How many tags are asked for at once where their messages are too long to come all together.
const TAGS_AT_ONCE: usize = 512;

/// What is asked of a tag; fields end with NUL, since messages have many lines.
const FIELDS: &str =
    "%(refname)%00%(objecttype)%00%(creatordate:unix)%00%(contents:subject)%00%(contents:body)%00";

/// The same without the message.
const FIELDS_WITHOUT_MESSAGE: &str = "%(refname)%00%(objecttype)%00%(creatordate:unix)%00%00%00";

/// Gives git the credentials of the url, so that they stand in no argument list and no error.
const CREDENTIAL_HELPER: &str = "!f() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \
                                 \"$WARMKEEP_GIT_USER\" \"$WARMKEEP_GIT_PASSWORD\"; }; f";

/// Neither the system's nor the user's git configuration takes part, and nobody is asked for a password.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh"),
    ("LC_ALL", "C"),
];

/// A repository and the folder that caches its tags.
pub(super) struct Remote<'a> {
    address: Address,
    cache: &'a Path,
    deadline: Deadline,
    timeout: Duration,
}

/// How much is fetched.
#[derive(Clone, Copy)]
enum Extent {
    /// The tagged commits alone.
    Tagged,
    /// Everything: some servers can send nothing less.
    Whole,
}

/// One tag.
struct Tag {
    name: String,
    annotated: bool,
    at: Option<Timestamp>,
    message: String,
}

impl<'a> Remote<'a> {
    /// A repository by its url, or an error if that is nothing git should be given.
    pub(super) fn new(url: &str, ask: &Ask<'a>) -> Result<Self> {
        let address = Address::read(url)?;
        Ok(Self { address, cache: ask.cache, deadline: Deadline::after(ask.timeout), timeout: ask.timeout })
    }

    /// The tags that begin with `prefix`, oldest first, the prefix stripped.
    pub(super) fn list(&self, prefix: &str) -> Result<Vec<Found>> {
        let tags = self.tags().map_err(|error| {
            Error::new(format!("cannot list the tags of {}", self.address.url())).because(error)
        })?;
        Ok(tags.into_iter().filter_map(|tag| found(tag, prefix)).collect())
    }

    fn tags(&self) -> Result<Vec<Tag>> {
        let _lock = self.lock()?;
        let kept = files::exists(self.cache);
        let mut tags = self.fetched(Extent::Tagged);
        if tags.is_err() && kept && !self.deadline.passed() {
            // A cache that a crash or a full disk left broken is not worth a diagnosis.
            files::remove_tree(self.cache)?;
            tags = self.fetched(Extent::Tagged);
        }
        match tags {
            Err(error) if wants_the_whole(&error) && !self.deadline.passed() => {
                files::remove_tree(self.cache)?;
                self.fetched(Extent::Whole)
            }
            tags => tags,
        }
    }

    /// Waits for another run that fetches into the same cache.
    fn lock(&self) -> Result<lock::Lock> {
        files::create_dir_private(self.cache.parent().unwrap_or(Path::new("/")))?;
        let path = PathBuf::from(format!("{}.lock", self.cache.display()));
        loop {
            match lock::exclusive(&path) {
                Err(e) if e.kind() == Kind::Busy && !self.deadline.passed() => {
                    sleep(Duration::from_millis(50));
                }
                taken => return taken,
            }
        }
    }

    fn fetched(&self, extent: Extent) -> Result<Vec<Tag>> {
        if !files::exists(&self.cache.join("HEAD")) {
            files::create_dir_private(self.cache)?;
            self.git(["init", "--quiet", "--bare", "--template="])?;
        }
        let lean: &[&str] = match extent {
            Extent::Tagged => &["--depth=1", "--filter=tree:0"],
            Extent::Whole => &[],
        };
        let fetch = ["fetch", "--quiet", "--prune", "--force", "--no-tags", "--no-write-fetch-head"];
        let fetched = self.run([&fetch, lean, &["origin", "+refs/tags/*:refs/tags/*"]].concat())?;
        if fetched.code == 1 && fetched.complaint().is_empty() && self.has_no_tags()? {
            return Ok(Vec::new());
        }
        checked(fetched)?;
        self.read()
    }

    /// A shallow fetch of nothing ends with exit code 1, in silence.
    fn has_no_tags(&self) -> Result<bool> {
        Ok(self.git(["ls-remote", "--tags", "origin"])?.stdout.is_empty())
    }

    fn read(&self) -> Result<Vec<Tag>> {
        let all = self.refs(FIELDS, &["refs/tags".to_owned()])?;
        if !all.stdout_cut {
            return Ok(tags(&all.stdout));
        }
        let names = self.refs(FIELDS_WITHOUT_MESSAGE, &["refs/tags".to_owned()])?;
        if names.stdout_cut {
            return Err(Error::new("the repository has more than 1 MiB of tag names"));
        }
        let names: Vec<String> = tags(&names.stdout).into_iter().map(|tag| tag.name).collect();
        let parts =
            names.chunks(TAGS_AT_ONCE).map(|part| self.read_part(part)).collect::<Result<Vec<_>>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    /// Some tags by their names; of a single message that is too long, the beginning.
    fn read_part(&self, names: &[String]) -> Result<Vec<Tag>> {
        let output = self.refs(FIELDS, names)?;
        if !output.stdout_cut || names.len() < 2 {
            return Ok(tags(&output.stdout));
        }
        let (older, newer) = names.split_at(names.len() / 2);
        let mut read = self.read_part(older)?;
        read.extend(self.read_part(newer)?);
        Ok(read)
    }

    fn refs(&self, fields: &str, patterns: &[String]) -> Result<Output> {
        let format = format!("--format={fields}");
        let fixed = ["for-each-ref", "--sort=creatordate", &format];
        self.git(fixed.into_iter().chain(patterns.iter().map(String::as_str)))
    }

    fn git<'b>(&self, words: impl IntoIterator<Item = &'b str>) -> Result<Output> {
        self.run(words).and_then(checked)
    }

    fn run<'b>(&self, words: impl IntoIterator<Item = &'b str>) -> Result<Output> {
        if self.deadline.passed() {
            return Err(Error::new(format!("git did not answer within {:?}", self.timeout)));
        }
        let argv = ["git".to_owned(), format!("--git-dir={}", self.cache.display())];
        let argv = argv.into_iter().chain(words.into_iter().map(str::to_owned));
        Program::new(argv).envs(&self.environment()).timeout(self.deadline.left()).run()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut vars: BTreeMap<String, String> = ENVIRONMENT.into_iter().map(owned).collect();
        if env::var("GIT_SSH_COMMAND").is_none() {
            vars.extend([owned(("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"))]);
        }
        if let Some((user, password)) = self.address.credentials() {
            vars.extend([("WARMKEEP_GIT_USER", user), ("WARMKEEP_GIT_PASSWORD", password)].map(owned));
        }
        let settings = self.settings();
        vars.extend([owned(("GIT_CONFIG_COUNT", &settings.len().to_string()))]);
        for (index, (key, value)) in settings.into_iter().enumerate() {
            vars.insert(format!("GIT_CONFIG_KEY_{index}"), key.to_owned());
            vars.insert(format!("GIT_CONFIG_VALUE_{index}"), value.to_owned());
        }
        vars
    }

    /// Settings go through the environment: what stands in the cache's own files may be from an older run.
    fn settings(&self) -> Vec<(&'static str, &str)> {
        let mut settings = vec![
            ("remote.origin.url", self.address.url()),
            ("core.hooksPath", "/dev/null"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("fetch.recurseSubmodules", "false"),
        ];
        if self.address.is_local() {
            // The repository may belong to another user: it is the one that the configuration names, and only its
            // objects are read.
            let serve = "git -c safe.directory='*' -c uploadpack.allowFilter=true upload-pack";
            settings.push(("remote.origin.uploadpack", serve));
        }
        if self.address.credentials().is_some() {
            settings.push(("credential.helper", CREDENTIAL_HELPER));
        }
        settings
    }
}

fn checked(output: Output) -> Result<Output> {
    if output.code == 0 {
        return Ok(output);
    }
    Err(Error::new(format!("git ended with exit code {}: {}", output.code, output.complaint()))
        .remedy("check versions.source.git.url, and that this host may read the repository"))
}

/// Servers that cannot leave anything out say so in their own words.
fn wants_the_whole(error: &Error) -> bool {
    let said = error.to_string();
    ["dumb http", "shallow", "filter"].iter().any(|word| said.contains(word))
}

fn tags(stdout: &[u8]) -> Vec<Tag> {
    let text = String::from_utf8_lossy(stdout);
    let fields: Vec<&str> = text.split('\0').collect();
    fields.chunks(5).filter_map(tag).collect()
}

fn tag(fields: &[&str]) -> Option<Tag> {
    let [name, kind, at, message @ ..] = fields else { return None };
    let (subject, body) = (message.first().unwrap_or(&""), message.get(1).unwrap_or(&""));
    Some(Tag {
        name: name.trim_start().to_owned(),
        annotated: *kind == "tag",
        at: at.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()),
        message: format!("{subject}\n\n{body}").trim().to_owned(),
    })
}

fn found(tag: Tag, prefix: &str) -> Option<Found> {
    let text = tag.name.strip_prefix("refs/tags/")?.strip_prefix(prefix)?;
    // What a tag without a message shows is its commit's, which is nobody's release notes.
    let notes = (tag.annotated && !tag.message.is_empty()).then_some(tag.message);
    Some(Found { released_at: tag.at, notes, ..Found::named(text) })
}

#[cfg(test)]
mod tests;
