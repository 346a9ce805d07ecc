//! Retiring an app: stopped, one last snapshot, everything else forgotten.

use std::path::PathBuf;

use super::app::with_subject;
use super::{Context, Subject};
use crate::config::model::App;
use crate::error::{Error, Result};
use crate::record::layout::AppLayout;
use crate::record::report::{AppReport, Outcome};
use crate::record::state::AppState;
use crate::snapshot::{Request, Snapshot};
use crate::sys::{clock, files};
use crate::version::Version;

/// Retires an app. Its own data folders are left where they are. Interrupted, it is simply run again.
pub fn retire(ctx: &Context<'_>, app: &App) -> AppReport {
    with_subject(ctx, app, stop_and_forget)
}

fn stop_and_forget(subject: &Subject<'_>) -> Result<AppReport> {
    subject.retire()
}

impl Subject<'_> {
    fn retire(&self) -> Result<AppReport> {
        let state = self.state()?;
        let current = self.driver.current()?.version.or_else(|| state.current.clone());
        self.driver.end_strays()?;
        self.driver.stop()?;
        self.driver.wait_gone()?;
        let last = self.last_snapshot(&state, current.as_ref())?;
        let earlier = match &last {
            Some(last) if self.says_it_all(&state, last)? => {
                self.drop_all_but(last)?;
                ""
            }
            _ => ", and every earlier snapshot was kept",
        };
        self.driver.tidy(&[])?;
        forget(self.layout)?;
        let reason = last.as_ref().map_or_else(
            || "it was stopped and forgotten".to_owned(),
            |last| format!("it was stopped and forgotten; its data is in the snapshot {}{earlier}", last.id),
        );
        Ok(AppReport {
            from: current,
            reason: Some(reason),
            snapshot: last.map(|last| last.id.to_string()),
            ..AppReport::new(&self.app.name, Outcome::Retired)
        })
    }

    /// Whether the last snapshot makes the earlier ones needless. Data in the middle of a transaction, or of one that a
    /// person overrode, may not be what is wanted back; a folder that is missing or empty may be a mount that failed.
    fn says_it_all(&self, state: &AppState, last: &Snapshot) -> Result<bool> {
        let settled = !files::exists(&self.layout.journal()) && self.layout.abandoned_journals()?.is_empty();
        let held = |path: &PathBuf| last.volumes.iter().any(|volume| volume.path == *path);
        let earlier = self.store.list()?.snapshots;
        let known = earlier.iter().flat_map(|snapshot| &snapshot.volumes).map(|volume| &volume.path);
        let full = |path: &PathBuf| files::list(path).is_ok_and(|entries| !entries.is_empty());
        Ok(settled && known.chain(&state.volumes).all(|path| held(path) && full(path)))
    }

    fn drop_all_but(&self, last: &Snapshot) -> Result<()> {
        for snapshot in self.store.list()?.snapshots.iter().filter(|snapshot| snapshot.id != last.id) {
            self.store.discard(&snapshot.id)?;
        }
        self.store.drop_failed()
    }

    fn last_snapshot(&self, state: &AppState, current: Option<&Version>) -> Result<Option<Snapshot>> {
        let known = if state.volumes.is_empty() { self.driver.data_paths()? } else { state.volumes.clone() };
        let volumes: Vec<_> = known.into_iter().filter(|volume| files::exists(volume)).collect();
        let (Some(version), false) = (current, volumes.is_empty()) else { return Ok(None) };
        let request = Request {
            version: version.clone(),
            reason: "retired".into(),
            volumes,
            txn: format!("retire-{}", clock::now().as_millisecond()),
        };
        let id = self.store.create(&request)?.id;
        self.store.seal(&id).map(Some)
    }
}

/// The state goes last: until then the app is still known and can be retired again.
fn forget(layout: &AppLayout) -> Result<()> {
    let journals = layout.abandoned_journals()?;
    for path in journals.iter().chain(&[layout.journal(), layout.history(), layout.proven()]) {
        files::remove_file(path)?;
    }
    files::give_up(&layout.reserve())?;
    files::remove_file(&layout.output_log())?;
    files::remove_file(&layout.output_log().with_extension("log.1"))?;
    files::remove_tree(&layout.releases())?;
    files::remove_tree(layout.cache())?;
    files::remove_tree(layout.runtime_dir())?;
    files::remove_file(layout.probe())?;
    files::remove_file(&layout.state_file())
}

/// An app that left the configuration, as far as its state remembers it; `None`: nothing is known of it.
pub fn remembered(ctx: &Context<'_>, name: &str) -> Result<Option<App>> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Ok(None);
    }
    let Some(state) = AppState::read(&ctx.layout.app(name).state_file())? else { return Ok(None) };
    if state.driver != "process" {
        return Err(Error::new(format!(
            "{name} was run by the `{}` driver, which needs its configuration",
            state.driver
        ))
        .remedy("put it back into the configuration, retire it, then take it out again"));
    }
    Ok(Some(App::undeclared(name, &state.volumes)))
}
