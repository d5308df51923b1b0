//! What is examined, and within which limits.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tradewind_core::Clock;

use crate::settings::{Environment, Overrides, Settings};
use crate::{Shell, System};

/// What the checks look at.
#[derive(Clone)]
pub struct World {
    /// Every setting that the go command reads, with where it came from.
    pub settings: Settings,
    /// How long may be waited, and how much read.
    pub limits: Limits,
    /// Whose rules hold.
    pub system: System,
    /// For which shell fixes are written.
    pub shell: Shell,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl World {
    /// What a process with `environment` in `folder` sees.
    #[must_use]
    pub fn of(environment: Environment, folder: &Path, overrides: &Overrides, clock: Arc<dyn Clock>) -> Self {
        let system = System::here();
        let shell = Shell::of(system, environment.get("SHELL"), environment.get("PSModulePath").is_some());
        let settings = Settings::read(environment, folder, system, overrides);
        Self { settings, limits: Limits::default(), system, shell, clock }
    }
}

/// How long the checks may wait and how much they may read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// One question to name servers.
    pub lookup: Duration,
    /// One TCP connection.
    pub connect: Duration,
    /// One TLS handshake.
    pub handshake: Duration,
    /// From a request to the first byte of its answer. Beyond this a proxy counts as hung.
    pub first_byte: Duration,
    /// One body, whole.
    pub body: Duration,
    /// Everything together.
    pub total: Duration,
    /// The most that is read of a body, in bytes; of a zip only as much as tells what it is.
    pub most_bytes: usize,
    /// The most entries of a list, modules of a go.mod or addresses of a name that are tried.
    pub most_tried: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lookup: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            body: Duration::from_secs(20),
            total: Duration::from_secs(60),
            most_bytes: 1 << 20,
            most_tried: 8,
        }
    }
}
