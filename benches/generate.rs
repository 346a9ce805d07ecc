//! How fast units are generated, for 1,000 and 10,000 apps and in both formats, against what Nix takes to evaluate the
//! very modules that were generated.

mod common;

use std::process::ExitCode;

use common::{Site, Table, measure, median};
use serde_json::{Value, json};

const RUNS: usize = 5;

/// An app that has all that its unit can say.
fn app(number: usize) -> Value {
    let auth = json!({ "user": "probe", "passwordFile": format!("/run/keys/app-{number}") });
    json!({
        "driver": { "process": { "command": ["{release}/bin/app", "--data", "{data}"] } },
        "data": { "paths": [format!("/var/lib/apps/{number}"), format!("/srv/app's \"data\"/{number}")] },
        "versions": { "source": { "directory": { "path": format!("/srv/apps/{number}") } } },
        "health": { "checks": { "http": { "http": { "url": "http://127.0.0.1:1/", "basicAuth": auth } } } },
        "after": if number == 0 { json!([]) } else { json!([format!("app-{:05}", (number - 1) / 2)]) }
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

/// What Nix takes to evaluate them, in seconds; `None` where there is no Nix.
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
    Some(median(RUNS, || measure(&argv).0).wall.as_secs_f64())
}

/// Figures of so many apps: `generate` in both formats, and Nix.
fn figures(apps: usize) -> ([f64; 2], [f64; 2], Option<f64>) {
    let site = Site::new();
    site.declare((0..apps).map(app));
    (generate(&site, "nixos"), generate(&site, "systemd"), evaluate(&site))
}

fn main() -> ExitCode {
    let mut table = Table::new("generate");
    let (nixos, systemd, nix) = figures(1_000);
    let (more_nixos, more_systemd, more_nix) = figures(10_000);
    table.bar("modules for 1,000 apps", nixos[0], 0.5, "s");
    table.bar("unit files for 1,000 apps", systemd[0], 0.5, "s");
    table.bar("modules for 10,000 apps", more_nixos[0], 5.0, "s");
    table.bar("unit files for 10,000 apps", more_systemd[0], 5.0, "s");
    Table::note("modules for 10,000 apps, nothing changed", more_nixos[1], "s");
    Table::note("unit files for 10,000 apps, nothing changed", more_systemd[1], "s");
    table.bar("ten times the apps take so many times as long (modules)", more_nixos[0] / nixos[0], 13.0, "×");
    table.bar(
        "ten times the apps take so many times as long (units)",
        more_systemd[0] / systemd[0],
        13.0,
        "×",
    );
    match (nix, more_nix) {
        (Some(nix), Some(more_nix)) => {
            Table::note("nix-instantiate --eval --strict of 1,000 modules", nix, "s");
            Table::note("nix-instantiate --eval --strict of 10,000 modules", more_nix, "s");
            table.bar("generate / nix-instantiate, 1,000 modules", nixos[0] / nix, 0.2, "");
            table.bar("generate / nix-instantiate, 10,000 modules", more_nixos[0] / more_nix, 0.2, "");
        }
        _ => println!("SKIPPED the comparison: Nix is missing; install nix-bin"),
    }
    println!(
        "\n| `generate`, NixOS modules for 1,000 apps | {:.2} s | 0.5 s | `cargo bench --bench generate` |\n\
         | the same for 10,000 apps | {:.2} s | 5 s | |",
        nixos[0], more_nixos[0]
    );
    if let Some(more_nix) = more_nix {
        println!(
            "| `nix-instantiate --eval --strict` of these 10,000 modules, in the same run | {more_nix:.2} s | | |\n\
             | `generate` / `nix-instantiate` | {:.2} | 0.2 | |",
            more_nixos[0] / more_nix
        );
    }
    table.end()
}
