//! The tour: a real app, real upgrades, real failures, on real processes, sockets and files.
//!
//! Every scene runs this very binary as a person would, reads its JSON, and compares what is there with what should be.

pub mod app;
mod http;
mod scenes;
mod stage;

use serde::Serialize;

use crate::error::Result;
use crate::sys::clock::Stopwatch;
use crate::sys::signals::asked_to_end;
use stage::Stage;

/// What one scene showed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// What is shown.
    pub scene: &'static str,
    /// The outcome that warmkeep reported.
    pub outcome: String,
    /// What was checked, in plain words.
    pub detail: String,
    /// Whether everything was as it should be.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Who listens to the story.
pub trait Audience {
    /// A scene begins.
    fn begins(&mut self, number: usize, of: usize, scene: &'static str);
    /// It has ended.
    fn ends(&mut self, shown: &Shown);
}

/// Plays all scenes in `folder`, or as many as come before somebody asks for the end. Whatever happens, the app is stopped
/// afterwards; unless `keep` is asked for, and the story has come to its end.
pub fn play(folder: &std::path::Path, keep: Ending, audience: &mut dyn Audience) -> Result<Vec<Shown>> {
    let stage = Stage::build(folder)?;
    let played = play_scenes(&stage, audience);
    let cleared = match keep {
        Ending::Keep if !asked_to_end() => Ok(()),
        Ending::Keep | Ending::Clear => stage.clear(),
    };
    let shown = played?;
    cleared.map(|()| shown)
}

/// What happens to the stage afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The app runs on; its folders stay.
    Keep,
    /// The app is stopped.
    Clear,
}

fn play_scenes(stage: &Stage, audience: &mut dyn Audience) -> Result<Vec<Shown>> {
    let scenes = scenes::ALL;
    let mut all = Vec::with_capacity(scenes.len());
    for (number, scene) in scenes.iter().enumerate() {
        if asked_to_end() {
            break;
        }
        audience.begins(number + 1, scenes.len(), scene.title);
        let watch = Stopwatch::start();
        let seen = (scene.play)(stage)?;
        let shown = Shown {
            scene: scene.title,
            outcome: seen.outcome,
            detail: seen.detail,
            ok: seen.ok,
            ms: watch.ms(),
        };
        audience.ends(&shown);
        all.push(shown);
    }
    Ok(all)
}
