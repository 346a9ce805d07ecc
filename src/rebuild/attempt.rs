//! What comes before anything of the host is touched: look, fetch, build, compare. A failure here is just that.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::closure::{Closure, Diff};
use super::drive::Drive;
use super::flake::{self, Age, Flake, Locked, Target};
use super::folder::{Folder, Last};
use super::journal::{Before, Journal, Stage};
use super::report::{Generations, Outcome, RebuildReport, Step};
use super::{Options, Patience, Turn, switcher, system, tell, word};
use crate::config::model::{Rebuild, RebuildAction};
use crate::engine::Context;
use crate::engine::events::{Event, Events};
use crate::error::{Error, Result};
use crate::record::document::SCHEMA;
use crate::record::report::StepReport;
use crate::sys::clock::{self, Stopwatch};
use crate::sys::process::{Output, Watch};
use crate::sys::signals::asked_to_end;
use crate::sys::{env, files, nix};

/// How long fetching a flake may take.
const FETCH: Duration = Duration::from_secs(900);

/// Rebuilds; what is left of an earlier rebuild was finished before.
pub(super) fn run(ctx: &Context<'_>, spec: &Rebuild, folder: &Folder, options: Options) -> Result<Turn> {
    let mut attempt =
        Attempt { ctx, spec, folder, options, notes: Vec::new(), steps: Vec::new(), flake: None };
    let before = attempt.step(Step::Look, |_| system::look())?;
    match attempt.prepare(&before) {
        Ok(Prepared::Journal(journal)) => {
            Drive::new(ctx, spec.switch_timeout, folder, *journal, Patience::Wait).begin()
        }
        Ok(Prepared::Settled(report)) => attempt.close(*report),
        Err(e) => {
            let report = attempt.failed(&before, &e);
            attempt.close(report)
        }
    }
}

/// What there is to do.
enum Prepared {
    /// A new system is to be activated.
    Journal(Box<Journal>),
    /// Nothing.
    Settled(Box<RebuildReport>),
}

struct Attempt<'a> {
    ctx: &'a Context<'a>,
    spec: &'a Rebuild,
    folder: &'a Folder,
    options: Options,
    notes: Vec<String>,
    steps: Vec<StepReport>,
    flake: Option<Flake>,
}

impl Attempt<'_> {
    fn step<T>(&mut self, step: Step, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.ctx.events.happened(&Event::Rebuilding { step: step.word() });
        let watch = Stopwatch::start();
        let done = work(self);
        let result = if done.is_ok() { "ok" } else { "failed" };
        self.steps.push(StepReport { step: step.word().into(), ms: watch.ms(), result: result.into() });
        done
    }

    fn prepare(&mut self, before: &Before) -> Result<Prepared> {
        let last = self.folder.last()?;
        let target = self.target()?;
        let locked = self.step(Step::Fetch, |this| this.fetch(&target))?;
        self.flake = Some(locked.flake.clone());
        self.refuse_older(&locked.flake, before, last.as_ref())?;
        system::check(&before.running)?;
        let mut journal = self.journal(before, &locked.flake);
        self.folder.keep(&journal)?;
        nix::add_root(&before.running, &self.folder.previous_root())?;
        let built = self.step(Step::Build, |this| this.build(&target, &locked))?;
        system::check(&built)?;
        if let Some(report) = self.nothing_to_do(before, last.as_ref(), &locked.flake, &built)? {
            return Ok(Prepared::Settled(Box::new(report)));
        }
        self.refuse_older_packages(before, last.as_ref(), &built)?;
        journal.diff = self.compare(before, &built);
        if !switcher::others_ended()? {
            return Ok(Prepared::Settled(Box::new(self.busy(before, &built))));
        }
        journal.before = look_again(before)?;
        journal.to = Some(built);
        journal.notes = std::mem::take(&mut self.notes);
        journal.steps = std::mem::take(&mut self.steps);
        Ok(Prepared::Journal(Box::new(journal)))
    }

    /// The flake that is meant. Nix takes no link for the folder of one.
    fn target(&self) -> Result<Target> {
        let mut target = Target::new(&self.spec.flake, &env::host_name());
        if let Some(folder) = target.folder().filter(|folder| files::exists(folder)) {
            target.reference = files::canonical(folder)?.to_string_lossy().into_owned();
        }
        Ok(target)
    }

    fn fetch(&self, target: &Target) -> Result<Locked> {
        let mut show = Show(self.ctx.events);
        let limit = self.spec.build_timeout.min(FETCH);
        let output = nix::flake_metadata(&target.reference, limit, &mut show)?;
        let failed = |why: &str| format!("the flake {} cannot be fetched: {why}", target.reference);
        if output.code != 0 {
            return Err(Error::new(failed(&complaint(&output)))
                .remedy("try `nix flake metadata` of it by hand; nothing was touched"));
        }
        flake::metadata(&output.stdout, &String::from_utf8_lossy(&output.stderr))
    }

    fn refuse_older(&mut self, flake: &Flake, before: &Before, last: Option<&Last>) -> Result<()> {
        match flake::age(flake, last.map(|last| &last.flake)) {
            Age::Older { this, running } if last.is_some_and(|last| last.is_of(before)) => self.older(
                &format!("the flake is of {this}, older than the running system's of {running}"),
                format!(
                    "the flake is older than the running system: it was last changed at {this}, the running one's at \
                     {running}"
                ),
            ),
            // Whoever activated what runs now may have gone on from there, and hardly back.
            Age::Older { this, running } => self.older(
                &format!("the flake is of {this}, older than the one activated last of {running}"),
                format!(
                    "the flake is older than the one that warmkeep activated last: it was last changed at {this}, that \
                     one at {running}; what runs now was activated by somebody else"
                ),
            ),
            Age::Fine | Age::Unknown => Ok(()),
        }
    }

    /// Of a system that somebody else has activated no flake is known, but NixOS keeps the date of its packages.
    fn refuse_older_packages(&mut self, before: &Before, last: Option<&Last>, built: &Path) -> Result<()> {
        if last.is_some_and(|last| last.is_of(before)) {
            return Ok(());
        }
        let dates = (
            flake::packages_of(&system::label(built)?),
            flake::packages_of(&system::label(&before.running)?),
        );
        match dates {
            (Some(this), Some(running)) if this < running => self.older(
                &format!("the packages are of {this}, older than the running system's of {running}"),
                format!(
                    "the new system is older than the running one: its packages are of {this}, the running one's of \
                     {running}"
                ),
            ),
            _ => Ok(()),
        }
    }

    fn older(&mut self, note: &str, refusal: String) -> Result<()> {
        if self.options.allow_older {
            self.notes.push(format!("{note}; --allow-older"));
            return Ok(());
        }
        Err(Error::new(refusal)
            .remedy("update the flake; if it is meant to go back, run `warmkeep rebuild --allow-older`"))
    }

    fn journal(&self, before: &Before, flake: &Flake) -> Journal {
        Journal {
            schema: SCHEMA,
            run: self.ctx.run.clone(),
            started_at: clock::now(),
            action: self.spec.action,
            before: before.clone(),
            flake: flake.clone(),
            to: None,
            diff: None,
            stage: Stage::Building,
            serial: 0,
            attempts: 0,
            turned_back: None,
            stuck: None,
            settled: None,
            notes: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// The store path, which a link keeps from being collected.
    fn build(&self, target: &Target, locked: &Locked) -> Result<PathBuf> {
        let root = self.folder.new_root();
        files::remove_file(&root)?;
        let mut show = Show(self.ctx.events);
        let installable = target.installable(&locked.url);
        let output = nix::build(&installable, &root, self.spec.build_timeout, &mut show)
            .map_err(|e| Error::new("the new system could not be built").because(e))?;
        if output.code != 0 {
            let why = format!("the new system could not be built: {}", complaint(&output));
            return Err(Error::new(why).remedy("correct the configuration; nothing was touched"));
        }
        files::canonical(&root)
    }

    fn nothing_to_do(
        &mut self,
        before: &Before,
        last: Option<&Last>,
        flake: &Flake,
        built: &PathBuf,
    ) -> Result<Option<RebuildReport>> {
        let is_profile = before.profile.as_ref() == Some(built);
        if before.running == *built && (is_profile || self.spec.action == RebuildAction::Test) {
            self.remember(last, flake, built)?;
            let reason = Some("the newest system runs already".into());
            return Ok(Some(RebuildReport { reason, ..self.draft(Outcome::Noop, before, Some(built)) }));
        }
        if is_profile && last.is_some_and(|last| last.needs_reboot && last.path == *built) {
            let reason = Some("the newest system is set for the next boot".into());
            let remedy = Some("reboot when it suits".into());
            return Ok(Some(RebuildReport {
                reason,
                remedy,
                ..self.draft(Outcome::RebootNeeded, before, Some(built))
            }));
        }
        Ok(None)
    }

    /// What the running system was built from, where that was not known, or is newer.
    fn remember(&self, last: Option<&Last>, flake: &Flake, built: &PathBuf) -> Result<()> {
        if last.is_some_and(|last| last.path == *built && last.flake == *flake && !last.needs_reboot) {
            return Ok(());
        }
        let (path, flake) = (built.clone(), flake.clone());
        self.folder.keep_last(&Last { schema: SCHEMA, path, flake, at: clock::now(), needs_reboot: false })
    }

    /// What changes is for people to read: where it cannot be told, that is no reason to keep an upgrade back.
    fn compare(&mut self, before: &Before, built: &Path) -> Option<Diff> {
        let compared = self.step(Step::Diff, |_| {
            let read = |path: &Path| Closure::parse(&nix::closure(path)?);
            Ok(Diff::new(&read(&before.running)?, &read(built)?))
        });
        compared
            .map_err(|e| self.notes.push(format!("the closures could not be compared: {}", e.chain())))
            .ok()
    }

    fn draft(&self, outcome: Outcome, before: &Before, to: Option<&PathBuf>) -> RebuildReport {
        RebuildReport {
            from: Some(before.running.clone()),
            to: to.cloned(),
            generation: Generations { before: before.generation, after: before.generation },
            flake: self.flake.clone(),
            failed_units: tell::failed_units(&before.failed_units, &before.failed_units),
            notes: self.notes.clone(),
            steps: self.steps.clone(),
            ..RebuildReport::new(outcome, word(self.spec.action))
        }
    }

    fn busy(&self, before: &Before, built: &PathBuf) -> RebuildReport {
        RebuildReport {
            reason: Some("nothing was touched".into()),
            cause: Some("another switch of this system is running".into()),
            remedy: Some("try again when it has ended".into()),
            ..self.draft(Outcome::Busy, before, Some(built))
        }
    }

    fn failed(&self, before: &Before, error: &Error) -> RebuildReport {
        tell::redacted(RebuildReport {
            cause: Some(error.chain()),
            reason: Some("nothing was touched".into()),
            remedy: error.hint().map(str::to_owned),
            ..self.draft(Outcome::Failed, before, None)
        })
    }

    fn close(&self, report: RebuildReport) -> Result<Turn> {
        tell::alert(self.ctx, &report)?;
        self.folder.forget()?;
        self.ctx.events.happened(&Event::Rebuilt);
        Ok(Turn::Done(Box::new(report)))
    }
}

/// The system right before it is touched: building takes long, and what fails meanwhile is not the new system's fault.
fn look_again(before: &Before) -> Result<Before> {
    let now = system::look()?;
    let same = (&now.running, &now.profile, now.generation);
    if same == (&before.running, &before.profile, before.generation) {
        return Ok(now);
    }
    Err(Error::new(format!(
        "somebody else has switched this system while the new one was built: {} runs now",
        now.running.display()
    ))
    .remedy("the next run builds on what they did; nothing was touched"))
}

/// A program's last words, which say why it failed.
fn complaint(output: &Output) -> String {
    let said = output.complaint();
    if said.is_empty() { format!("nix ended with exit code {} and said nothing", output.code) } else { said }
}

/// What Nix says is shown to whoever looks on.
struct Show<'a>(&'a dyn Events);

impl Watch for Show<'_> {
    fn line(&mut self, line: &str) {
        self.0.happened(&Event::Said { line });
    }

    fn goes_on(&self) -> bool {
        !asked_to_end()
    }
}
