//! `snapshot`: what an app could go back to, and whether it is what it was.

use clap::{Args, Subcommand};
use comfy_table::{Cell, Color};
use serde_json::{Value, json};

use super::session::unknown_app;
use super::{FAILED, Session, output};
use crate::config::model::Config;
use crate::engine::prove::{Proof, verify as prove};
use crate::error::{Error, Result};
use crate::record::layout::Layout;
use crate::snapshot::{Listing, Snapshot, SnapshotId, Store};
use crate::sys::{clock, files};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The snapshots of an app, oldest first; of a retired one too.
    List(Which),
    /// Prove snapshots bit by bit.
    Verify(Proving),
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// The app. It need not be in the configuration any more.
    #[arg(value_name = "APP")]
    app: String,
}

#[derive(Debug, Args)]
pub(super) struct Proving {
    #[command(flatten)]
    which: Which,
    /// Only this snapshot.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: Option<String>,
}

pub(super) fn run(session: &Session, verb: &Verb) -> Result<u8> {
    match verb {
        Verb::List(which) => list(session, which),
        Verb::Verify(proving) => verify(session, proving),
    }
}

fn list(session: &Session, which: &Which) -> Result<u8> {
    let config = session.config()?;
    let layout = Layout::new(&config.host);
    let app = known(&config, &layout, which)?;
    let listing = Store::new(app, layout.app(app).dir()).list()?;
    if session.global.json {
        output::json(&document(app, &listing))?;
    } else {
        show(app, &listing)?;
    }
    Ok(0)
}

/// A declared app, or one that left its snapshots.
fn known<'a>(config: &Config, layout: &Layout, which: &'a Which) -> Result<&'a str> {
    let name = which.app.as_str();
    let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    let has_left = || is_name && files::is_dir(&layout.app(name).dir().join("snapshots"));
    if config.apps.contains_key(name) || has_left() { Ok(name) } else { Err(unknown_app(config, name)) }
}

fn document(app: &str, listing: &Listing) -> Value {
    let snapshots: Vec<Value> = listing.snapshots.iter().map(one).collect();
    let unreadable: Vec<Value> =
        listing.unreadable.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect();
    json!({ "schema": 1, "app": app, "snapshots": snapshots, "unreadable": unreadable })
}

fn one(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id, "version": snapshot.version, "takenAt": snapshot.taken_at, "reason": snapshot.reason,
        "bytes": snapshot.bytes(), "entries": snapshot.entries(), "sealed": snapshot.sealed,
        "verifiedAt": snapshot.verified_at
    })
}

fn show(app: &str, listing: &Listing) -> Result<()> {
    if listing.snapshots.is_empty() {
        output::line(&format!("{app} has no snapshots"))?;
    } else {
        let mut table =
            output::table(&["snapshot", "version", "taken", "why", "size", "entries", "verified"]);
        for snapshot in &listing.snapshots {
            table.add_row([
                Cell::new(&snapshot.id),
                Cell::new(&snapshot.version),
                Cell::new(age(snapshot.taken_at)),
                Cell::new(&snapshot.reason),
                Cell::new(output::size(snapshot.bytes())),
                Cell::new(snapshot.entries()),
                Cell::new(verified(snapshot)),
            ]);
        }
        output::line(&output::unbroken(table, &[0]))?;
    }
    listing.unreadable.iter().try_for_each(|(path, why)| output::line(&format!("{}: {why}", path.display())))
}

fn age(at: jiff::Timestamp) -> String {
    output::age(clock::now().as_second().saturating_sub(at.as_second()))
}

fn verified(snapshot: &Snapshot) -> String {
    match snapshot.verified_at {
        Some(at) => age(at),
        None if snapshot.sealed => "never".to_owned(),
        None => "not sealed".to_owned(),
    }
}

fn verify(session: &Session, proving: &Proving) -> Result<u8> {
    let config = session.config()?;
    let ctx = session.context(&config)?;
    let app = known(&config, &ctx.layout, &proving.which)?;
    let only = proving.snapshot.as_deref().map(SnapshotId::parse).transpose();
    let only = only.map_err(|e| Error::usage("that names no snapshot").because(e))?;
    let proofs = prove(&ctx, app, only.as_ref())?;
    let ok = proofs.iter().all(|proof| proof.result.is_ok());
    if session.global.json {
        let snapshots: Vec<Value> = proofs.iter().map(outcome).collect();
        output::json(&json!({ "schema": 1, "app": app, "ok": ok, "snapshots": snapshots }))?;
    } else {
        tell(&proofs)?;
    }
    Ok(if ok { 0 } else { FAILED })
}

fn outcome(proof: &Proof) -> Value {
    let (verified, error) = (proof.result.as_ref().ok(), proof.result.as_ref().err());
    json!({
        "id": proof.snapshot, "ok": error.is_none(), "entries": verified.map(|verified| verified.entries),
        "verifiedAt": verified.map(|verified| verified.at), "error": error.map(Error::chain),
        "remedy": error.and_then(Error::hint)
    })
}

fn tell(proofs: &[Proof]) -> Result<()> {
    let mut table = output::table(&["snapshot", "result", "entries"]);
    for proof in proofs {
        let (word, color, entries) = match &proof.result {
            Ok(verified) => ("✓ is what it was", Color::Green, verified.entries.to_string()),
            Err(_) => ("✗ is not proven", Color::Red, String::new()),
        };
        table.add_row([Cell::new(&proof.snapshot), Cell::new(word).fg(color), Cell::new(entries)]);
    }
    output::line(&output::unbroken(table, &[0]))?;
    for (proof, error) in proofs.iter().filter_map(|proof| Some((proof, proof.result.as_ref().err()?))) {
        let help = error.hint().map_or_else(String::new, |hint| format!("\n  help: {hint}"));
        output::line(&format!("\n{}\n  why:  {}{help}", proof.snapshot, error.chain()))?;
    }
    Ok(())
}
