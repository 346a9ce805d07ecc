//! What a person decides about a version: let it through, or give it another chance.

use super::Context;
use super::app::lock_app;
use crate::config::model::{App, Order};
use crate::error::{Error, Result};
use crate::record::state::AppState;
use crate::status::Probe;
use crate::sys::clock;
use crate::version::Version;

/// What became of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    /// It is recorded.
    Recorded,
    /// It was recorded before.
    Already,
    /// Nothing is recorded: the app is on that version.
    Running,
    /// Nothing is recorded: the app is on this version, which comes after it.
    Passed(Version),
}

/// Lets a held version through at the next converge.
pub fn approve(ctx: &Context<'_>, app: &App, version: &Version) -> Result<Approved> {
    if app.versions.deny.iter().any(|denied| denied == version.as_str()) {
        return Err(contradiction(app, version, "versions.deny", "take it out of there"));
    }
    if let Some(pin) = app.versions.pin.as_ref().filter(|pin| *pin != version.as_str()) {
        return Err(contradiction(
            app,
            version,
            "versions.pin",
            &format!("it allows {pin} only; change or drop it"),
        ));
    }
    change(ctx, app, |state| {
        if let Some(needless) = needless(app, state, version) {
            return Ok(needless);
        }
        if state.quarantined.iter().any(|q| q.version == *version) {
            let release = format!("`warmkeep release {} {version}` gives it another chance", app.name);
            return Err(Error::new(format!("{} {version} is in quarantine", app.name)).remedy(release));
        }
        let new = state.approve(version.clone(), clock::now());
        Ok(if new { Approved::Recorded } else { Approved::Already })
    })
}

/// An approval that no converge would ever use.
fn needless(app: &App, state: &AppState, version: &Version) -> Option<Approved> {
    let current = state.current.as_ref()?;
    if current.same_as(version) {
        return Some(Approved::Running);
    }
    let passed = match (app.versions.order, version.parsed(), current.parsed()) {
        (Order::Semver, Some(version), Some(current)) => version.precedence(&current).is_lt(),
        _ => false,
    };
    passed.then(|| Approved::Passed(current.clone()))
}

/// Whether a version was held when the app was last looked at.
pub fn is_held(ctx: &Context<'_>, app: &App, version: &Version) -> bool {
    let probe = Probe::read(ctx.layout.app(&app.name).probe());
    probe.is_some_and(|probe| probe.held.iter().any(|held| held.version == *version))
}

fn contradiction(app: &App, version: &Version, key: &str, remedy: &str) -> Error {
    Error::usage(format!("the configuration refuses {} {version} (`{key}`)", app.name))
        .remedy(format!("{remedy}, or deploy it once by hand: `warmkeep deploy {} {version}`", app.name))
}

/// Takes a version out of quarantine.
pub fn release(ctx: &Context<'_>, app: &App, version: &Version) -> Result<()> {
    change(ctx, app, |state| {
        if state.release(version) {
            return Ok(());
        }
        let known: Vec<String> = state.quarantined.iter().map(|q| q.version.to_string()).collect();
        let known = if known.is_empty() {
            "nothing is".to_owned()
        } else {
            format!("these are: {}", known.join(", "))
        };
        Err(Error::new(format!("{} {version} is not in quarantine", app.name)).remedy(known))
    })
}

fn change<T>(ctx: &Context<'_>, app: &App, change: impl FnOnce(&mut AppState) -> Result<T>) -> Result<T> {
    ctx.layout.create()?;
    let layout = ctx.layout.app(&app.name);
    layout.create()?;
    let _held = lock_app(&layout.lock(), &app.name)?;
    let path = layout.state_file();
    let mut state = AppState::read(&path)?.unwrap_or_else(|| AppState::new(&app.name, app.driver.name()));
    let changed = change(&mut state)?;
    state.write(&path)?;
    Ok(changed)
}
