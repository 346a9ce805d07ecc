//! `apps.<name>`, without its driver, health and versions.

use super::Resolver;
use super::health::Containers;
use super::versions::Asker;
use crate::config::at::At;
use crate::config::diagnostic::Problem;
use crate::config::model::{App, Data, Driver, Hooks, Isolation, Retention, Timeouts};
use crate::config::wire;
use crate::units;

impl Resolver<'_> {
    /// Reads one app; `apps` is where all of them stand.
    pub(super) fn app(&mut self, name: String, app: wire::App, apps: &At<'_>) -> App {
        let at = apps.key(&name);
        self.file_name(&name, &at);
        self.not_reserved(&name, &at);
        let timeouts = self.timeouts(&app.timeouts, &at.key("timeouts"));
        let data_paths = app.data.as_ref().is_some_and(|data| !data.paths.is_empty());
        let driver = self.driver(app.driver, &name, &timeouts, &at);
        let driver_known = self.report.is_sound(&at.key("driver"));
        if !data_paths && self.report.is_sound(&at.key("data").key("paths")) {
            self.no_data_placeholder(&driver, &at);
        }
        let containers = match &driver {
            Driver::Process(_) | Driver::Command(_) if driver_known => Containers::None(driver.name()),
            _ => Containers::Some,
        };
        let asker = match &driver {
            Driver::Abra(_) => Asker::Recipe,
            _ if !driver_known => Asker::Recipe,
            _ => Asker::Other,
        };
        App {
            data: app.data.map(|data| self.data(data, &driver, &at)),
            versions: self.versions(app.versions, asker, &at.key("versions")),
            health: self.health(app.health, containers, &at.key("health")),
            after: app.after,
            hooks: self.hooks(app.hooks, &at.key("hooks")),
            timeouts,
            snapshots: self.retention(&app.snapshots, &at.key("snapshots")),
            isolation: app.isolation.map(|isolation| self.isolation(isolation, &at.key("isolation"))),
            driver,
            name,
        }
    }

    /// Each app has a unit `warmkeep-<name>`, and warmkeep has two of its own.
    fn not_reserved(&mut self, name: &str, at: &At<'_>) {
        if [units::NIGHTLY, units::ALERTS].contains(&name) {
            let problem = Problem::new(format!("the unit warmkeep-{name} is warmkeep's own"));
            self.report.key(
                at,
                problem.expected("another name").remedy(format!("Rename the app, say to `{name}-app`.")),
            );
        }
    }

    fn timeouts(&mut self, timeouts: &wire::Timeouts, at: &At<'_>) -> Timeouts {
        Timeouts {
            prefetch: self.some_time(timeouts.prefetch, &at.key("prefetch")),
            deploy: self.some_time(timeouts.deploy, &at.key("deploy")),
            stop: self.some_time(timeouts.stop, &at.key("stop")),
            gone: self.some_time(timeouts.gone, &at.key("gone")),
        }
    }

    /// Data must be something: an app that claims to be stateful and names nothing would be upgraded without a snapshot.
    fn data(&mut self, data: wire::Data, driver: &Driver, app: &At<'_>) -> Data {
        let at = app.key("data");
        if self.report.is_sound(&app.key("driver")) {
            self.discovery(&data, driver, &at);
        }
        let prints_volumes = matches!(driver, Driver::Command(command) if !command.volumes.is_empty());
        let sound = self.report.is_sound(&at.key("paths")) && self.report.is_sound(&at.key("discover"));
        if data.paths.is_empty() && !data.discover && !prints_volumes && sound {
            let problem = Problem::new("the app is declared to keep data, and none is named");
            let remedy =
                "Name it in `paths`, set `discover` to true, or leave `data` out for a stateless app.";
            self.report.key(&at, problem.remedy(remedy));
        }
        for (index, name) in data.exclude.iter().enumerate() {
            if name.trim().is_empty() {
                let exclude = at.key("exclude");
                self.report.value(&exclude.item(index), Problem::new("the name of a volume is empty"));
            }
        }
        let paths = self.paths(data.paths, &at.key("paths"));
        Data { paths, discover: data.discover, exclude: data.exclude }
    }

    fn discovery(&mut self, data: &wire::Data, driver: &Driver, at: &At<'_>) {
        let remedy = match driver {
            Driver::Process(_) => "Name the app's folders in `paths`.",
            Driver::Command(command) if command.volumes.is_empty() => {
                "Give the driver a program for `volumes`."
            }
            _ => return,
        };
        let what = format!("the driver `{}` has no volumes to discover", driver.name());
        if data.discover {
            self.report.value(&at.key("discover"), Problem::new(what.clone()).remedy(remedy));
        }
        if !data.exclude.is_empty() {
            self.report.value(&at.key("exclude"), Problem::new(what).remedy("Leave `exclude` out."));
        }
    }

    fn hooks(&mut self, hooks: wire::Hooks, at: &At<'_>) -> Hooks {
        Hooks {
            before_stop: self.program_if(hooks.before_stop, &at.key("beforeStop")),
            after_deploy: self.program_if(hooks.after_deploy, &at.key("afterDeploy")),
            before_restore: self.program_if(hooks.before_restore, &at.key("beforeRestore")),
            after_restore: self.program_if(hooks.after_restore, &at.key("afterRestore")),
        }
    }

    fn retention(&mut self, retention: &wire::Retention, at: &At<'_>) -> Retention {
        if retention.max_bytes.0 == 0 {
            let problem = Problem::new("no snapshot fits in 0 bytes, so no upgrade could begin");
            let remedy = "Give snapshots room, such as \"20GiB\"; leave `data` out for a stateless app.";
            self.report.value(&at.key("maxBytes"), problem.expected("more than 0B").remedy(remedy));
        }
        Retention {
            keep_last: retention.keep_last,
            keep_daily: retention.keep_daily,
            keep_weekly: retention.keep_weekly,
            max_bytes: retention.max_bytes.0,
        }
    }

    fn isolation(&mut self, isolation: wire::Isolation, at: &At<'_>) -> Isolation {
        match isolation {
            wire::Isolation::Keycloak(keycloak) => {
                let at = at.key("keycloak");
                Isolation::Keycloak {
                    url: self.url(keycloak.url, &at.key("url")),
                    admin_user: self.line(keycloak.admin_user, &at.key("adminUser")),
                    admin_password_file: self
                        .path(keycloak.admin_password_file, &at.key("adminPasswordFile")),
                }
            }
            wire::Isolation::Command(command) => {
                let at = at.key("command");
                Isolation::Command {
                    create: self.program(command.create, &at.key("create")),
                    delete: self.program(command.delete, &at.key("delete")),
                    list: self.program(command.list, &at.key("list")),
                }
            }
        }
    }
}
