//! A machine in a folder: a home, a go command that is never run, a module cache, a project.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tradewind_doctor::settings::{Environment, Overrides};
use tradewind_doctor::{Check, Report, World, examine, settings_checks};
use tradewind_runtime::SystemClock;

/// A machine on which nothing is wrong.
pub(crate) struct Machine {
    folder: TempDir,
    values: Vec<(String, String)>,
}

/// Where its module proxy would be: a name that no network has.
pub(crate) const PROXY: &str = "https://mod.example.com";

impl Machine {
    /// Go 1.27.3 with its go.env, git, and a project that needs one module, which is not in the cache.
    pub(crate) fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap(), values: Vec::new() };
        machine.write("go/VERSION", "go1.27.3\ntime 2026-10-19T22:20:36Z\n");
        machine
            .write("go/go.env", "GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n");
        machine.write("go/pkg/tool/x", "");
        machine.program("go/bin/go");
        machine.program("bin/git");
        machine.write("home/x", "");
        machine.write("app/go.mod", "module example.com/app\n\ngo 1.20\n\nrequire corp.example.com/Team/x v1.0.0\n");
        machine.write("app/main.go", "package main\n\nimport \"corp.example.com/Team/x\"\n");
        let sums = "corp.example.com/Team/x v1.0.0 h1:a=\ncorp.example.com/Team/x v1.0.0/go.mod h1:b=\n";
        machine.write("app/go.sum", sums);
        let path = |name: &str| machine.path(name).display().to_string();
        let (home, programs) = (path("home"), format!("{}:{}", path("go/bin"), path("bin")));
        machine.with("HOME", &home).with("PATH", &programs).with("SHELL", "/bin/sh").with("GOPROXY", PROXY)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
    }

    pub(crate) fn program(&self, name: &str) {
        self.executable(name, "exit 1");
    }

    /// With a program that runs `script`.
    pub(crate) fn script(self, name: &str, script: &str) -> Self {
        self.executable(name, script);
        self
    }

    fn executable(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// What `go env -w` would have written.
    pub(crate) fn go_env(self, text: &str) -> Self {
        self.write("home/.config/go/env", text);
        self
    }

    /// With another file.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    /// With a variable; empty takes it away.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.values.retain(|(own, _)| own != name);
        self.values.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn world(&self) -> World {
        let values = self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        World::of(Environment::of(values), &self.path("app"), &Overrides::default(), Arc::new(SystemClock::new()))
    }

    pub(crate) fn report(&self) -> Report {
        let world = self.world();
        run(&world, &settings_checks())
    }

    /// The numbers of the causes that are found, in order.
    pub(crate) fn causes(&self) -> Vec<u8> {
        self.report().findings.iter().map(|finding| finding.cause.number()).collect()
    }

    /// The fix of the first finding, and its cause.
    pub(crate) fn first(&self) -> (u8, String) {
        let report = self.report();
        let finding = report.findings.first().unwrap_or_else(|| panic!("nothing found"));
        (finding.cause.number(), finding.fix.text.clone())
    }
}

pub(crate) fn run(world: &World, checks: &[Check]) -> Report {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(examine(world, checks))
}
