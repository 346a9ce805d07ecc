//! How fast units are generated, for 1,000 and 10,000 apps and in both formats: the whole verb, from the configuration's
//! file to files on the disk; and the work between, from a configuration to the text of modules, against what Nix takes to
//! come from the text of these very modules to values.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "benchmarks drive the real system"
)]

mod common;

use std::process::ExitCode;
use std::time::Duration;

use common::{Site, Table, Took, measure, median};
use serde_json::{Value, json};
use warmkeep::units::{self, Settings, files};

const RUNS: usize = 5;

/// An app that has all that its unit can say.
fn app(number: usize) -> Value {
    let auth = json!({ "user": "probe", "passwordFile": format!("/run/keys/app-{number}") });
    json!({
        "driver": { "process": { "command": ["{release}/bin/app", "--data", "{data}"] } },
        "data": { "paths": [format!("/var/lib/apps/{number}"), format!("/srv/app's \"data\"/{number}")] },
        "versions": { "source": { "directory": { "path": format!("/srv/apps/{number}") } } },
        "health": { "checks": { "http": { "http": { "url": "http://127.0.0.1:1/", "basicAuth": auth } } } },
        "after": if number < 10 { json!([]) } else { json!([format!("app-{:05}", number % 10)]) }
    })
}

/// What `generate` takes, in seconds: into an empty folder, and into one where nothing has changed.
fn generate(site: &Site, format: &str) -> [f64; 2] {
    let folder = |run: usize| site.text(&format!("{format}-{run}"));
    let once = |out: String| measure(&site.argv(&["generate", "--format", format, "--out", &out])).0;
    let mut run = 0;
    let fresh = median(RUNS, || {
        run += 1;
        once(folder(run))
    });
    let same = median(RUNS, || once(folder(1)));
    [fresh, same].map(|took| took.wall.as_secs_f64())
}

/// What it takes to come from a configuration to the text of all modules, in seconds of the processor: what is compared
/// with another program must not depend on what else the machine does.
fn render(site: &Site) -> f64 {
    let config = warmkeep::config::load(&site.path("warmkeep.json")).expect("the configuration is right");
    let settings = Settings::new("/run/current-system/sw/bin/warmkeep".as_ref(), "/etc/warmkeep".as_ref());
    let settings = settings.expect("these paths are fine");
    let once = || {
        let start = processor();
        let digest = |text: &str| warmkeep::sys::hash::short(text.as_bytes(), 32);
        let made = files::of(units::of(&config, &settings), files::Format::Nixos, digest);
        std::hint::black_box(made);
        Took { wall: Duration::ZERO, cpu: processor().saturating_sub(start) }
    };
    median(3 * RUNS, once).cpu.as_secs_f64()
}

/// The time that this process has had on a processor.
fn processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// What Nix takes to evaluate them, in seconds of the processor; `None` where there is no Nix.
fn evaluate(site: &Site) -> Option<f64> {
    which::which("nix-instantiate").ok()?;
    let expression = format!(
        "map (m: let f = import m; in if builtins.isFunction f then f {{
           config = {{ nix = {{ envVars = {{ }}; package.out = 1; }}; environment.sessionVariables.NIX_PATH = 1;
             networking.proxy.envVars = {{ }}; programs.ssh.package = 1; }};
           pkgs = {{ coreutils = 1; gnutar = 1; xz.bin = 1; gzip = 1; gitMinimal = 1; }};
         }} else f) (import {}/default.nix).imports",
        site.text("nixos-1")
    );
    // A store of its own: nothing of the machine's is read or written.
    let own =
        ["STORE", "STATE", "LOG", "CONF"].map(|part| format!("NIX_{part}_DIR={}/{part}", site.text("nix")));
    let words = ["nix-instantiate", "--eval", "--strict", "--json", "-E", &expression].map(str::to_owned);
    let argv: Vec<String> = std::iter::once("env".to_owned()).chain(own).chain(words).collect();
    Some(median(RUNS, || measure(&argv).0).cpu.as_secs_f64())
}

/// Figures of so many apps, in seconds.
struct Figures {
    nixos: [f64; 2],
    systemd: [f64; 2],
    rendered: f64,
    nix: Option<f64>,
}

fn figures(apps: usize) -> Figures {
    let site = Site::new();
    site.declare((0..apps).map(app));
    let (nixos, systemd) = (generate(&site, "nixos"), generate(&site, "systemd"));
    Figures { nixos, systemd, rendered: render(&site), nix: evaluate(&site) }
}

fn main() -> ExitCode {
    let mut table = Table::new("generate");
    let (few, many) = (figures(1_000), figures(10_000));
    table.bar("modules for 1,000 apps", few.nixos[0], 0.5, "s");
    table.bar("unit files for 1,000 apps", few.systemd[0], 0.5, "s");
    table.bar("modules for 10,000 apps", many.nixos[0], 5.0, "s");
    table.bar("unit files for 10,000 apps", many.systemd[0], 5.0, "s");
    Table::note("modules for 10,000 apps, nothing changed", many.nixos[1], "s");
    Table::note("unit files for 10,000 apps, nothing changed", many.systemd[1], "s");
    table.bar(
        "ten times the apps take so many times as long (modules)",
        many.nixos[0] / few.nixos[0],
        13.0,
        "×",
    );
    table.bar(
        "ten times the apps take so many times as long (units)",
        many.systemd[0] / few.systemd[0],
        13.0,
        "×",
    );
    Table::note("CPU from a configuration to the text of 1,000 modules", few.rendered, "s");
    Table::note("CPU from a configuration to the text of 10,000 modules", many.rendered, "s");
    compare(&mut table, &few, &many);
    table.end()
}

fn compare(table: &mut Table, few: &Figures, many: &Figures) {
    let (Some(nix), Some(more_nix)) = (few.nix, many.nix) else {
        println!("SKIPPED the comparison: Nix is missing; install nix-bin");
        return;
    };
    Table::note("CPU of nix-instantiate --eval --strict of 1,000 modules", nix, "s");
    Table::note("CPU of nix-instantiate --eval --strict of 10,000 modules", more_nix, "s");
    table.bar("text of 1,000 modules / nix-instantiate", few.rendered / nix, 0.2, "");
    table.bar("text of 10,000 modules / nix-instantiate", many.rendered / more_nix, 0.2, "");
    println!(
        "\n| `generate`, NixOS modules for 1,000 apps | {:.2} s | 0.5 s | `cargo bench --bench generate` |\n\
         | the same for 10,000 apps | {:.2} s | 5 s | |\n\
         | from the configuration to the text of 10,000 modules, CPU | {:.2} s | | |\n\
         | `nix-instantiate --eval --strict` of these modules, in the same run, CPU | {more_nix:.2} s | | |\n\
         | text of modules / `nix-instantiate` | {:.2} | 0.2 | |",
        few.nixos[0],
        many.nixos[0],
        many.rendered,
        many.rendered / more_nix
    );
}
