//! How fast a configuration is read, and how apps are shown: `check` of 1,000 and 10,000 apps, `status` of 100.

mod common;

use std::process::ExitCode;

use common::{Site, Table, measure, median, ms};
use serde_json::{Value, json};

const RUNS: usize = 7;

/// An app that says all that an app usually says.
fn full_app(number: usize) -> Value {
    let port = 1024 + number % 60_000;
    json!({
        "driver": { "process": {
            "command": ["{release}/bin/app", "--port", port.to_string(), "--data", "{data}"],
            "prepare": ["fetch-app", "{version}", "{release}"],
            "env": { "LANG": "C" }, "stopSignal": "SIGTERM", "stopTimeout": "30s"
        } },
        "data": { "paths": [format!("/var/lib/apps/{number}")] },
        "versions": {
            "source": { "directory": { "path": format!("/srv/apps/{number}/releases") } },
            "policy": "minor", "minAge": "12h", "holdNotes": ["(?i)manual migration"], "deny": ["1.2.3"]
        },
        "health": {
            "checks": {
                "http": { "http": { "url": format!("http://127.0.0.1:{port}/healthz"), "status": [200] } },
                "tcp": { "tcp": { "address": format!("127.0.0.1:{port}") } }
            },
            "interval": "1s", "timeout": "2m", "passes": 3, "soak": "5s"
        },
        "after": if number == 0 { json!([]) } else { json!([format!("app-{:05}", (number - 1) / 2)]) },
        "timeouts": { "prefetch": "30m", "deploy": "10m" },
        "snapshots": { "keepLast": 2, "maxBytes": "20GiB" }
    })
}

/// Seconds that `check` takes for so many apps.
fn check(apps: usize) -> f64 {
    let site = Site::new();
    site.declare((0..apps).map(full_app));
    median(RUNS, || measure(&site.argv(&["check"])).0).wall.as_secs_f64()
}

/// A hundred apps that were converged for real.
fn converged(apps: usize) -> Site {
    let site = Site::new();
    let app = json!({
        "driver": { "process": { "command": ["sleep", "1000000"] } },
        "versions": { "source": { "list": { "versions": ["1.0.0"] } } },
        "health": {
            "checks": { "true": { "command": { "run": ["true"] } } },
            "interval": "10ms", "passes": 1, "soak": "0s"
        }
    });
    site.declare(std::iter::repeat_n(app, apps));
    site.converge("installed", apps);
    site
}

fn main() -> ExitCode {
    let mut table = Table::new("check and status");
    let (thousand, ten_thousand) = (check(1_000), check(10_000));
    table.bar("check of 1,000 apps", thousand, 0.2, "s");
    table.bar("check of 10,000 apps", ten_thousand, 2.5, "s");
    table.bar("ten times the apps take so many times as long", ten_thousand / thousand, 13.0, "×");
    let site = converged(100);
    let status = median(RUNS, || measure(&site.argv(&["status"])).0);
    table.bar("status of 100 apps", ms(status.wall), 20.0, "ms");
    table.end()
}
