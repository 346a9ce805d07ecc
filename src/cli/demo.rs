//! `demo`: the story, told in plain lines.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{Cell, Color};
use serde_json::json;

use super::{Session, output};
use crate::demo::{Audience, Ending, Shown, play};
use crate::error::{Error, Result};
use crate::sys::clock::Stopwatch;
use crate::sys::{files, signals};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Play in this (new or empty) folder and leave everything there, the app running.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    signals::listen()?;
    let watch = Stopwatch::start();
    let mut audience = Teller { silent: session.global.json || session.global.quiet };
    let shown = match &options.keep {
        Some(folder) => play(fresh(folder)?, Ending::Keep, &mut audience)?,
        None => {
            let folder = files::temporary_dir("warmkeep-demo-")?;
            play(folder.path(), Ending::Clear, &mut audience)?
        }
    };
    if let Some(signal) = signals::asked_by() {
        return Ok(interrupted(signal, options));
    }
    let ok = shown.iter().all(|scene| scene.ok);
    if session.global.json {
        output::json(&json!({ "schema": 1, "ok": ok, "elapsedMs": watch.ms(), "scenes": shown }))?;
    } else {
        conclude(&shown, options, watch.ms())?;
    }
    Ok(u8::from(!ok))
}

/// The exit code that shells give to a program that a signal ended.
fn interrupted(signal: u8, options: &Options) -> u8 {
    let left = match &options.keep {
        None => "everything was stopped and removed".to_owned(),
        Some(folder) => format!("the app was stopped; everything else is still in {}", folder.display()),
    };
    output::error(&Error::new(format!("the demo was ended by signal {signal}: {left}")));
    128 + signal
}

fn fresh(folder: &std::path::Path) -> Result<&std::path::Path> {
    if files::list(folder)?.is_empty() {
        return Ok(folder);
    }
    Err(Error::usage(format!("{} is not empty", folder.display()))
        .remedy("name a folder that is new or empty"))
}

struct Teller {
    silent: bool,
}

impl Audience for Teller {
    fn begins(&mut self, number: usize, of: usize, scene: &'static str) {
        if !self.silent {
            // The story goes on without a listener.
            let _ = output::line(&format!("[{number}/{of}] {scene} …"));
        }
    }

    fn ends(&mut self, shown: &Shown) {
        if !self.silent {
            let sign = if shown.ok { "✓" } else { "✗" };
            let _ = output::line(&format!("      {sign} {}: {}", shown.outcome, shown.detail));
        }
    }
}

fn conclude(shown: &[Shown], options: &Options, ms: u64) -> Result<()> {
    let mut table = output::table(&["scene", "outcome", "took", "as it should be"]);
    for scene in shown {
        let (word, color) = if scene.ok { ("✓ yes", Color::Green) } else { ("✗ no", Color::Red) };
        table.add_row([
            Cell::new(scene.scene),
            Cell::new(&scene.outcome),
            Cell::new(output::duration(scene.ms)),
            Cell::new(word).fg(color),
        ]);
    }
    output::line(&format!("\n{table}\nall in {}", output::duration(ms)))?;
    match &options.keep {
        None => output::line("everything was stopped and removed; `--keep DIR` leaves it there to look at"),
        Some(folder) => output::line(&format!(
            "everything is still in {0}, and the app runs on. Look at it, then stop it:\n  \
             warmkeep --config {0}/config status\n  warmkeep --config {0}/config history\n  \
             warmkeep --config {0}/config alerts list\n  warmkeep --config {0}/config retire notes",
            folder.display()
        )),
    }
}
