//! What a night costs when there is nothing to do: a hundred healthy, current apps, against a hundred
//! `docker stack deploy` that change nothing, on the same machine in the same run.

mod common;
mod docker;

use std::process::ExitCode;

use common::{Site, Table, free_ports, median, ms};
use docker::Docker;
use serde_json::{Value, json};

const APPS: usize = 100;
const RUNS: usize = 7;

/// The demo's app: a process of its own, with data, that answers over HTTP.
fn app(site: &Site, port: u16) -> Value {
    let data = site.text(&format!("data/{port}"));
    let (port, warmkeep) = (port.to_string(), env!("CARGO_BIN_EXE_warmkeep"));
    json!({
        "driver": { "process": { "command": [
            warmkeep, "demo-app", "--port", port, "--data", "{data}", "--release", "{release}",
            "--version-name", "{version}"
        ] } },
        "data": { "paths": [data] },
        "versions": { "source": { "directory": { "path": site.text("releases") } }, "policy": "minor" },
        "health": {
            "checks": { "http": { "http": { "url": format!("http://127.0.0.1:{port}/healthz") } } },
            "interval": "10ms", "passes": 1, "soak": "0s"
        }
    })
}

fn main() -> ExitCode {
    let mut table = Table::new("converge of 100 apps that are healthy and current");
    let site = Site::new();
    site.release("1.0.0");
    site.declare(free_ports(APPS).into_iter().map(|port| app(&site, port)));
    site.converge("installed", APPS);
    let ours = median(RUNS, || site.converge("noop", APPS));
    Table::note("converge, wall", ms(ours.wall), "ms");
    table.bar("converge, CPU an app", ms(ours.cpu) / 100.0, 10.0, "ms");
    match Docker::start(&site) {
        Ok(docker) => {
            let peer = median(3, || docker.deploy_without_change(APPS));
            // Once more, beside the peer: the machine may have been busier before.
            let again = median(RUNS, || site.converge("noop", APPS));
            Table::note("100 × docker stack deploy (two services), wall", ms(peer.wall), "ms");
            Table::note("100 × docker stack deploy, CPU of the client each", ms(peer.cpu) / 100.0, "ms");
            Table::note("converge again beside it, wall", ms(again.wall), "ms");
            Table::note("converge again, CPU an app", ms(again.cpu) / 100.0, "ms");
            let worse = ours.wall.max(again.wall);
            table.bar(
                "converge / docker stack deploy, wall",
                worse.as_secs_f64() / peer.wall.as_secs_f64(),
                0.2,
                "×",
            );
        }
        Err(missing) => docker::skipped(&missing),
    }
    table.end()
}
