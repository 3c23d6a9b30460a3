//! The containers of compose.yaml, in a project of the test's own: started, stopped, killed and wiped.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};

use crate::support::fleet::free_addresses;

/// Services that can be reached from outside, with the variables of compose.yaml that say at which port.
const OPEN: [(&str, &str); 7] = [
    ("app-1", "APP_1_PORT"),
    ("app-2", "APP_2_PORT"),
    ("app-3", "APP_3_PORT"),
    ("lb-1", "LB_1_PORT"),
    ("lb-2", "LB_2_PORT"),
    ("lb-3", "LB_3_PORT"),
    ("frontend", "FRONTEND_PORT"),
];
/// Any engine may give as many as this.
const DESCRIPTORS: &str = "4096";
/// All that go on running.
pub const SERVICES: [&str; 10] =
    ["app-1", "app-2", "app-3", "lb-1", "lb-2", "lb-3", "redis-1", "redis-2", "redis-3", "frontend"];

/// All of them; removed when dropped.
pub struct Compose {
    /// Its name, to clean up by hand after a test that was killed.
    pub project: String,
    ports: BTreeMap<&'static str, SocketAddr>,
    /// Those that the test has not stopped.
    running: BTreeSet<&'static str>,
}

impl Compose {
    /// Builds the image. Nothing runs yet.
    pub fn build() -> Self {
        let ports = OPEN.iter().map(|(service, _)| *service).zip(free_addresses(OPEN.len())).collect();
        let project = format!("distr-chat-test-{}", std::process::id());
        let compose = Self { project, ports, running: BTreeSet::new() };
        compose.compose(&["build", "starter"]);
        compose
    }

    /// Starts everything, and waits until the starter says that it is well.
    pub fn up(&mut self) {
        self.compose(&["up", "-d", "--no-build"]);
        self.running = SERVICES.into();
        let starter = self.id("starter");
        let code = run(Command::new("docker").args(["wait", &starter]));
        assert_eq!(code, "0", "the starter: {}", self.log("starter"));
    }

    /// Lets it end.
    pub fn stop(&mut self, service: &'static str) {
        self.running.remove(service);
        self.docker("stop", service);
    }

    /// Ends it without a warning.
    pub fn kill(&mut self, service: &'static str) {
        self.running.remove(service);
        self.docker("kill", service);
    }

    /// Starts one that was stopped or killed.
    pub fn start(&mut self, service: &'static str) {
        self.docker("start", service);
        self.running.insert(service);
    }

    /// Removes one that was stopped or killed, and all that it wrote.
    pub fn remove(&mut self, service: &'static str) {
        self.docker("rm", service);
    }

    /// Makes and starts one that was removed.
    pub fn create(&mut self, service: &'static str) {
        self.compose(&["up", "-d", "--no-build", "--no-deps", service]);
        self.running.insert(service);
    }

    /// Whether the test has not stopped it.
    pub fn runs(&self, service: &str) -> bool {
        self.running.contains(service)
    }

    /// Where it is reached from outside.
    pub fn port(&self, service: &str) -> SocketAddr {
        self.ports[service]
    }

    /// Where the others reach it.
    pub fn address(&self, service: &str) -> IpAddr {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        run(Command::new("docker").args(["inspect", "--format", format, &self.id(service)])).parse().unwrap()
    }

    /// What it wrote since it was created.
    pub fn log(&self, service: &str) -> String {
        let output = Command::new("docker").args(["logs", &self.id(service)]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    fn docker(&self, what: &str, service: &str) {
        run(Command::new("docker").args([what, &self.id(service)]));
    }

    fn id(&self, service: &str) -> String {
        let label = |name, value: &str| format!("label=com.docker.compose.{name}={value}");
        let (project, service) = (label("project", &self.project), label("service", service));
        run(Command::new("docker").args(["ps", "-aq", "--filter", &project, "--filter", &service]))
    }

    fn compose(&self, arguments: &[&str]) {
        run(self.command().args(arguments));
    }

    /// Compose 2 is a part of `docker`; before, it was a program of its own, to which BuildKit must be told.
    fn command(&self) -> Command {
        let is_part = Command::new("docker").args(["compose", "version"]).stderr(Stdio::null()).output();
        let mut command = match is_part.is_ok_and(|output| output.status.success()) {
            true => Command::new("docker"),
            false => Command::new("docker-compose"),
        };
        if command.get_program() == "docker" {
            command.arg("compose");
        }
        command.args(["--project-name", &self.project]).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("DOCKER_BUILDKIT", "1").env("COMPOSE_DOCKER_CLI_BUILD", "1");
        command.env("DISTR_CLUSTER_KEY", "d157".repeat(16)).env_remove("DISTR_BACKPLANE_PASSWORD");
        command.env("DISTR_DRAIN_SECONDS", "1").env("DISTR_DRAIN_LIMIT", "5").env("DESCRIPTORS", DESCRIPTORS);
        command
            .envs(OPEN.iter().map(|(service, variable)| (variable, self.port(service).port().to_string())));
        command
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        // Nothing to be done about it; the names tell whose they are.
        let _ = self.command().args(["down", "--volumes", "--timeout", "0"]).output();
    }
}

/// What it says. Fails with what it complains about.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
