//! What concerns the whole host: `host`, `sweep`, `nightly`, `gc`, `alerts`.

use std::collections::BTreeMap;

use super::versions::Asker;
use super::{Resolver, calendar};
use crate::config::at::At;
use crate::config::diagnostic::Problem;
use crate::config::model::{
    Alerts, Gc, GcDocker, GcLogs, GcNix, GcOrphans, Host, Nightly, Rebuild, RebuildAction, Recipe, Sink,
    Sweep, SweepWhen, Webhook, WebhookFormat,
};
use crate::config::printable::cut;
use crate::config::wire;

impl Resolver<'_> {
    pub(super) fn host(&mut self, host: &wire::Host, at: &At<'_>) -> Host {
        let state_dir = self.path(host.state_dir.clone(), &at.key("stateDir"));
        if host.state_dir.contains(char::is_control) {
            let problem = Problem::new("a control character stands in this path");
            self.report.value(&at.key("stateDir"), problem.expected("a path that a unit file can name"));
        }
        if state_dir.parent().is_none() {
            let problem = Problem::new("warmkeep cannot have the whole system for its state");
            self.report.value(&at.key("stateDir"), problem.expected("a folder of its own"));
        }
        Host { state_dir, runtime_dir: self.path(host.runtime_dir.clone(), &at.key("runtimeDir")) }
    }

    pub(super) fn sweep(&mut self, sweep: wire::Sweep, at: &At<'_>) -> Sweep {
        let at = at.key("recipes");
        let recipes = sweep.recipes.into_iter().map(|(name, recipe)| {
            let here = at.key(&name);
            self.file_name(&name, &here);
            let recipe = self.recipe(recipe, &here);
            (name, recipe)
        });
        Sweep {
            recipes: recipes.collect(),
            jobs: sweep.jobs,
            when: match sweep.when {
                wire::SweepWhen::NewRelease => SweepWhen::NewRelease,
                wire::SweepWhen::Always => SweepWhen::Always,
            },
            allow_empty: sweep.allow_empty,
        }
    }

    fn recipe(&mut self, recipe: wire::Recipe, at: &At<'_>) -> Recipe {
        let canonical = at.key("canonical");
        Recipe {
            run: self.program(recipe.run, &at.key("run")),
            timeout: self.some_time(recipe.timeout, &at.key("timeout")),
            needs: recipe.needs,
            env: self.env(recipe.env, &at.key("env")),
            versions: recipe.versions.map(|all| self.versions(all, Asker::Recipe, &at.key("versions"))),
            canonical: recipe.canonical.map(|kept| self.paths(kept.paths, &canonical.key("paths"))),
            teardown: self.program_if(recipe.teardown, &at.key("teardown")),
            gone: self.program_if(recipe.gone, &at.key("gone")),
        }
    }

    pub(super) fn nightly(&mut self, nightly: wire::Nightly, at: &At<'_>) -> Nightly {
        let busy_at = at.key("busy");
        let busy = nightly.busy.into_iter().map(|(name, wire::Busy::Command(program))| {
            let here = busy_at.key(&name);
            self.label(&name, &here);
            let run = self.program(program.run, &here.key("command").key("run"));
            (name, run)
        });
        Nightly {
            busy: busy.collect(),
            on_calendar: self.calendar(&nightly.on_calendar, &at.key("onCalendar")),
            randomized_delay: nightly.randomized_delay.0,
            deadline: self.some_time(nightly.deadline, &at.key("deadline")),
            busy_wait: nightly.busy_wait.0,
            rebuild: nightly.rebuild.map(|rebuild| self.rebuild(rebuild, &at.key("rebuild"))),
        }
    }

    /// When the night begins, so that a timer can be set to it.
    fn calendar(&mut self, text: &str, at: &At<'_>) -> String {
        let text = text.trim();
        if let Err(why) = calendar::check(text) {
            let problem = Problem::new(format!("systemd would not take this for a time: {}", cut(&why)))
                .expected("a calendar expression such as \"03:00\" or \"Mon..Fri 02:30\"");
            self.report.value(
                at,
                problem.remedy("`man systemd.time` describes them; `systemd-analyze calendar` reads one."),
            );
        }
        text.to_owned()
    }

    fn rebuild(&mut self, rebuild: wire::Rebuild, at: &At<'_>) -> Rebuild {
        let action = match rebuild.action {
            wire::RebuildAction::Switch => RebuildAction::Switch,
            wire::RebuildAction::Boot => RebuildAction::Boot,
            wire::RebuildAction::Test => RebuildAction::Test,
        };
        Rebuild {
            flake: self.flake(rebuild.flake, &at.key("flake")),
            action,
            build_timeout: self.some_time(rebuild.build_timeout, &at.key("buildTimeout")),
            switch_timeout: self.some_time(rebuild.switch_timeout, &at.key("switchTimeout")),
        }
    }

    fn flake(&mut self, flake: String, at: &At<'_>) -> String {
        let host = flake.split_once('#').map_or("", |(_, host)| host);
        let problem = if flake.starts_with('-') {
            Some("a flake reference cannot begin with `-`")
        } else if flake.starts_with('#') {
            Some("a flake reference cannot be empty")
        } else if host.contains(['"', '\\', '#', '^']) {
            Some("Nix cannot be asked for a host of this name")
        } else {
            None
        };
        if let Some(problem) = problem {
            let problem = Problem::new(problem);
            self.report.value(at, problem.expected("a flake and a host, such as \"/etc/nixos#host\""));
        }
        self.line(flake, at)
    }

    pub(super) fn gc(&mut self, gc: wire::Gc, at: &At<'_>) -> Gc {
        self.watermarks(&gc, at);
        Gc {
            path: self.path(gc.path, &at.key("path")),
            high_watermark: gc.high_watermark,
            low_watermark: gc.low_watermark,
            nix: gc
                .nix
                .map(|nix| GcNix { keep_generations: nix.keep_generations, keep_since: nix.keep_since.0 }),
            docker: gc.docker.map(|docker| GcDocker {
                dangling: docker.dangling,
                build_cache_max: docker.build_cache_max.0,
            }),
            logs: self.logs(gc.logs, &at.key("logs")),
            orphans: gc.orphans.and_then(|orphans| self.orphans(&orphans, &at.key("orphans"))),
            leftovers: self.globs(gc.leftovers, &at.key("leftovers")),
        }
    }

    fn watermarks(&mut self, gc: &wire::Gc, at: &At<'_>) {
        let (low, high) = (gc.low_watermark, gc.high_watermark);
        if low >= high && self.report.is_sound(&at.key("highWatermark")) {
            let problem = Problem::new(format!(
                "gc would never stop: it begins at {high} percent and ends below {low}"
            ));
            let key = self.report.first_written(at, &["lowWatermark", "highWatermark"]);
            self.report.value(&at.key(key), problem.remedy("Set `lowWatermark` lower than `highWatermark`."));
        }
    }

    fn logs(&mut self, logs: BTreeMap<String, wire::GcLogs>, at: &At<'_>) -> BTreeMap<String, GcLogs> {
        let logs = logs.into_iter().map(|(name, logs)| {
            let here = at.key(&name);
            self.label(&name, &here);
            let paths = self.globs(logs.paths, &here.key("paths"));
            (name, GcLogs { paths, keep_last: logs.keep_last, max_age: logs.max_age.map(|age| age.0) })
        });
        logs.collect()
    }

    fn orphans(&mut self, orphans: &wire::GcOrphans, at: &At<'_>) -> Option<GcOrphans> {
        let at = at.key("pattern");
        if orphans.pattern.is_empty() {
            let problem = Problem::new("an empty pattern matches every stack");
            self.report
                .value(&at, problem.remedy("Write one that only cold stacks match, such as \"^cold-\"."));
        }
        let pattern = self.pattern(&orphans.pattern, &at)?;
        Some(GcOrphans { pattern, min_age: orphans.min_age.0 })
    }

    pub(super) fn alerts(&mut self, alerts: wire::Alerts, at: &At<'_>) -> Alerts {
        let at = at.key("sinks");
        let sinks = alerts.sinks.into_iter().map(|(name, sink)| {
            let here = at.key(&name);
            self.label(&name, &here);
            let sink = match sink {
                wire::Sink::Webhook(hook) => {
                    Sink::Webhook(Box::new(self.webhook(hook, &here.key("webhook"))))
                }
                wire::Sink::Command(program) => {
                    Sink::Command { run: self.program(program.run, &here.key("command").key("run")) }
                }
            };
            (name, sink)
        });
        Alerts { sinks: sinks.collect(), dedupe: alerts.dedupe.0 }
    }

    fn webhook(&mut self, hook: wire::Webhook, at: &At<'_>) -> Webhook {
        let bearer = hook.bearer_file.as_ref().map(|_| "bearerFile");
        let basic = hook.basic_auth.as_ref().map(|_| "basicAuth");
        let keys: Vec<&str> = bearer.into_iter().chain(basic).collect();
        self.one_authorization(&keys, &hook.headers, at);
        Webhook {
            url: self.url(hook.url, &at.key("url")),
            format: match hook.format {
                wire::WebhookFormat::Json => WebhookFormat::Json,
                wire::WebhookFormat::Ntfy => WebhookFormat::Ntfy,
                wire::WebhookFormat::Slack => WebhookFormat::Slack,
            },
            bearer_file: self.path_if(hook.bearer_file, &at.key("bearerFile")),
            basic_auth: hook.basic_auth.map(|auth| self.basic_auth(auth, &at.key("basicAuth"))),
            headers: self.headers(hook.headers, &at.key("headers")),
            timeout: self.some_time(hook.timeout, &at.key("timeout")),
        }
    }
}
