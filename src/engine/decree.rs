//! What a person decides about a version: let it through, or give it another chance.

use super::Context;
use super::app::lock_app;
use crate::config::model::App;
use crate::error::{Error, Result};
use crate::record::state::AppState;
use crate::status::Probe;
use crate::sys::clock;
use crate::version::Version;

/// Lets a held version through at the next converge; says whether that is new.
pub fn approve(ctx: &Context<'_>, app: &App, version: &Version) -> Result<bool> {
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
        if state.quarantined.iter().any(|q| q.version == *version) {
            let release = format!("`warmkeep release {} {version}` gives it another chance", app.name);
            return Err(Error::new(format!("{} {version} is in quarantine", app.name)).remedy(release));
        }
        Ok(state.approve(version.clone(), clock::now()))
    })
}

/// Whether a version was held when the app was last looked at.
pub fn is_held(ctx: &Context<'_>, app: &App, version: &Version) -> Result<bool> {
    let probe = Probe::read(ctx.layout.app(&app.name).probe())?;
    Ok(probe.is_some_and(|probe| probe.held.iter().any(|held| held.version == *version)))
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
