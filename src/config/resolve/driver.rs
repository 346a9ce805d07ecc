//! `apps.<name>.driver`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Resolver;
use super::signal;
use crate::config::at::At;
use crate::config::diagnostic::Problem;
use crate::config::model::{Abra, AbraSecrets, CommandDriver, Compose, Driver, Process, Swarm, Timeouts};
use crate::config::printable::quoted;
use crate::config::quantity::format_duration;
use crate::config::suggest::closest;
use crate::config::wire;

/// Swarm's longest object name. `<stack>_<service>` must fit, and a service has at least one character.
const LONGEST_STACK: usize = 64 - "_s".len();

/// How long a process has to end, unless it is said.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

impl Resolver<'_> {
    /// Reads an app's driver; `app` is where the app stands.
    pub(super) fn driver(
        &mut self,
        driver: wire::Driver,
        name: &str,
        timeouts: &Timeouts,
        app: &At<'_>,
    ) -> Driver {
        let at = app.key("driver");
        match driver {
            wire::Driver::Process(process) => Driver::Process(self.process(process, timeouts, app)),
            wire::Driver::Compose(compose) => {
                Driver::Compose(self.compose(compose, name, &at.key("compose")))
            }
            wire::Driver::Swarm(swarm) => Driver::Swarm(self.swarm(swarm, name, &at.key("swarm"))),
            wire::Driver::Abra(abra) => Driver::Abra(self.abra(abra, name, &at.key("abra"))),
            wire::Driver::Command(command) => Driver::Command(self.command(command, &at.key("command"))),
        }
    }

    fn process(&mut self, process: wire::Process, timeouts: &Timeouts, app: &At<'_>) -> Process {
        let at = app.key("driver");
        let at = at.key("process");
        let command = self.program(process.command, &at.key("command"));
        let prepare = self.program_if(process.prepare, &at.key("prepare"));
        let env = self.driver_env(process.env, &at.key("env"));
        self.placeholders(&command, &at.key("command"));
        self.placeholders(&prepare, &at.key("prepare"));
        for (name, value) in &env {
            self.placeholder(value, &at.key("env").key(name));
        }
        Process {
            stop_timeout: self.stop_timeout(process.stop_timeout, timeouts, app),
            stop_signal: self.signal(&process.stop_signal, &at.key("stopSignal")),
            working_directory: self.working_directory(process.working_directory, &at.key("workingDirectory")),
            command,
            prepare,
            env,
        }
    }

    /// An app's environment. By variables of its own kind warmkeep knows whose a process is.
    fn driver_env(&mut self, env: BTreeMap<String, String>, at: &At<'_>) -> BTreeMap<String, String> {
        for name in env.keys().filter(|name| name.starts_with("WARMKEEP_")) {
            let problem = Problem::new(format!("{} is reserved", quoted(name)));
            let remedy = "Choose a name that does not begin with `WARMKEEP_`.";
            self.report.key(&at.key(name), problem.remedy(remedy));
        }
        self.env(env, at)
    }

    fn stop_timeout(&mut self, written: Option<wire::Time>, timeouts: &Timeouts, app: &At<'_>) -> Duration {
        let Some(time) = written else { return STOP_TIMEOUT.min(timeouts.stop) };
        let at = app.key("driver");
        let at = at.key("process");
        let at = at.key("stopTimeout");
        let time = self.some_time(time, &at);
        if time > timeouts.stop && self.report.is_sound(&app.key("timeouts").key("stop")) {
            let limit = format_duration(timeouts.stop);
            let problem =
                Problem::new(format!("the process may take longer to end than `timeouts.stop`, {limit}"));
            let problem = problem.expected(format!("at most {limit}"));
            self.report.value(&at, problem.remedy("Make it shorter, or `timeouts.stop` longer."));
        }
        time
    }

    fn signal(&mut self, name: &str, at: &At<'_>) -> i32 {
        signal::number(name).unwrap_or_else(|| {
            let bare = name.strip_prefix("SIG").unwrap_or(name);
            let meant = closest(bare, signal::names()).map(|meant| format!("SIG{meant}"));
            let problem = match bare {
                "STOP" | "TSTP" | "CONT" => Problem::new(format!("{} ends no process", quoted(name))),
                _ => Problem::new(format!("{} is no signal", quoted(name))).meant(meant),
            };
            let remedy =
                "Use SIGTERM, SIGINT, SIGQUIT, SIGHUP or whatever the process takes as a request to end.";
            self.report.value(at, problem.expected("the name of a signal").remedy(remedy));
            0
        })
    }

    fn working_directory(&mut self, text: Option<String>, at: &At<'_>) -> Option<String> {
        let text = text?;
        self.placeholder(&text, at);
        if !text.starts_with(['/', '{']) {
            let problem = Problem::new(format!("the path is relative: {}", quoted(&text)));
            let remedy = "Begin with `/` or with a placeholder, as in \"{release}/share\".";
            self.report.value(at, problem.expected("an absolute path").remedy(remedy));
        }
        Some(text)
    }

    fn compose(&mut self, compose: wire::Compose, name: &str, at: &At<'_>) -> Compose {
        let files = self.stack_files(compose.files, &at.key("files"));
        let project = compose.project.unwrap_or_else(|| project_name(name));
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if !project.starts_with(|c: char| c.is_ascii_alphanumeric()) || !project.chars().all(fits) {
            let problem = Problem::new(format!("{} is no name for a compose project", quoted(&project)));
            let remedy = "Use lower-case letters, digits, `-` and `_`, with a letter or digit first.";
            self.report.value(&at.key("project"), problem.meant(Some(project_name(&project))).remedy(remedy));
        }
        Compose {
            env_file: self.env_file(compose.env_file, &files, &at.key("envFile")),
            tag_variable: self.variable(compose.tag_variable, &at.key("tagVariable")),
            env: self.driver_env(compose.env, &at.key("env")),
            pull: compose.pull,
            files,
            project,
        }
    }

    fn swarm(&mut self, swarm: wire::Swarm, name: &str, at: &At<'_>) -> Swarm {
        let files = self.stack_files(swarm.files, &at.key("files"));
        let stack = swarm.stack.unwrap_or_else(|| name.to_owned());
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !stack.starts_with(|c: char| c.is_ascii_alphanumeric()) || !stack.chars().all(fits) {
            let problem = Problem::new(format!("{} is no name for a stack", quoted(&stack)));
            let remedy = "Use letters, digits, `-`, `_` and `.`, with a letter or digit first.";
            self.report.value(&at.key("stack"), problem.remedy(remedy));
        }
        self.stack_fits(&stack, &at.key("stack"));
        Swarm {
            env_file: self.env_file(swarm.env_file, &files, &at.key("envFile")),
            tag_variable: self.variable(swarm.tag_variable, &at.key("tagVariable")),
            env: self.driver_env(swarm.env, &at.key("env")),
            pull: swarm.pull,
            files,
            stack,
        }
    }

    fn stack_fits(&mut self, stack: &str, at: &At<'_>) {
        let length = stack.chars().count();
        if length > LONGEST_STACK {
            let problem = Problem::new(format!(
                "the stack name {} has {length} characters: with `_` and a service it is too long for swarm's 64",
                quoted(stack)
            ));
            let problem =
                problem.expected(format!("at most {LONGEST_STACK} characters, fewer for longer services"));
            self.report.value(at, problem.remedy("Choose a shorter name."));
        }
    }

    fn stack_files(&mut self, files: Vec<String>, at: &At<'_>) -> Vec<PathBuf> {
        if files.is_empty() {
            let problem =
                Problem::new("at least one file is needed here").expected("a list of absolute paths");
            self.report.value(at, problem.remedy("Name the file that describes the services."));
        }
        self.paths(files, at)
    }

    fn env_file(&mut self, written: Option<String>, files: &[PathBuf], at: &At<'_>) -> PathBuf {
        let beside = || files.first().and_then(|file| file.parent()).unwrap_or(Path::new("/")).join(".env");
        self.path_if(written, at).unwrap_or_else(beside)
    }

    fn abra(&mut self, abra: wire::Abra, name: &str, at: &At<'_>) -> Abra {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let whole = !abra.domain.is_empty() && !abra.domain.starts_with(['-', '.']);
        if !whole || !abra.domain.chars().all(fits) {
            let problem = Problem::new(format!("{} is no domain", quoted(&abra.domain)));
            self.report.value(&at.key("domain"), problem.expected("a domain such as \"cloud.example.org\""));
        }
        self.stack_fits(&abra.domain.replace('.', "_"), &at.key("domain"));
        let recipe = abra.recipe.unwrap_or_else(|| name.to_owned());
        Abra {
            recipe: self.word(recipe, &at.key("recipe")),
            server: self.word(abra.server, &at.key("server")),
            env: self.driver_env(abra.env, &at.key("env")),
            secrets: match abra.secrets {
                wire::AbraSecrets::GenerateMissing => AbraSecrets::GenerateMissing,
                wire::AbraSecrets::None => AbraSecrets::None,
            },
            domain: abra.domain,
        }
    }

    /// A name that abra takes as one argument, and never as an option.
    fn word(&mut self, text: String, at: &At<'_>) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(fits) {
            let problem = Problem::new(format!("{} is no name that abra knows", quoted(&text)));
            self.report.value(at, problem.expected("letters, digits, `-`, `_` and `.`"));
        }
        text
    }

    fn command(&mut self, command: wire::CommandDriver, at: &At<'_>) -> CommandDriver {
        let argvs = [
            ("deploy", &command.deploy),
            ("stop", &command.stop),
            ("status", &command.status),
            ("gone", &command.gone),
            ("volumes", &command.volumes),
            ("prefetch", &command.prefetch),
        ];
        for (key, argv) in argvs {
            self.placeholders(argv, &at.key(key));
        }
        CommandDriver {
            deploy: self.program(command.deploy, &at.key("deploy")),
            stop: self.program(command.stop, &at.key("stop")),
            status: self.program(command.status, &at.key("status")),
            gone: self.program_if(command.gone, &at.key("gone")),
            volumes: self.program_if(command.volumes, &at.key("volumes")),
            prefetch: self.program_if(command.prefetch, &at.key("prefetch")),
        }
    }
}

/// The name that compose itself would make of a folder of this name.
fn project_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    lower.chars().filter(fits).collect::<String>().trim_start_matches(['-', '_']).to_owned()
}
