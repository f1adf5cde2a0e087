//! A machine that runs: watch its console, talk to its agent, cut its power, look at what is left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::agent::Agent;
use crate::machine::{Machine, Places};
use crate::slot::{self, Slot};
use crate::verdict::{self, Verdict};

/// A started machine. Dropping it cuts its power.
#[derive(Debug)]
pub struct Running {
    child: Child,
    agent: Agent,
    work: TempDir,
    vars: PathBuf,
    limit: Duration,
    silence: Duration,
    /// How much of the console the verdicts so far have used up.
    read: usize,
    _slot: Slot,
}

/// What is left of a machine after its power was cut.
#[derive(Debug)]
pub struct Ended {
    /// The whole console.
    pub console: String,
    /// The firmware's variables as the guest left them.
    pub vars: PathBuf,
    _work: TempDir,
}

impl Machine {
    /// Starts the machine, as soon as a slot is free.
    pub fn start(&self) -> Result<Running> {
        let slot = slot::acquire()?;
        let work = tempfile::Builder::new().prefix("cfs-vm-").tempdir().context("cannot make a working directory")?;
        let vars = if self.persistent { self.vars.clone() } else { work.path().join("vars.fd") };
        if !self.persistent {
            fs::copy(&self.vars, &vars)
                .with_context(|| format!("cannot copy the firmware's variables {}", self.vars.display()))?;
        }
        let (console, socket) = (work.path().join("console"), work.path().join("agent"));
        let log = work.path().join("qemu.log");
        let child = self
            .command(&Places { vars: &vars, console: &console, agent: &socket })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start qemu-system-x86_64: is it installed? ci/setup installs what the tests need")?;
        let mut child = Guard(Some(child));
        let agent = Agent::connect(&socket)
            .with_context(|| format!("QEMU said: {}", fs::read_to_string(&log).unwrap_or_default().trim()))?;
        let child = child.0.take().context("the machine has gone")?;
        Ok(Running { child, agent, work, vars, limit: self.limit, silence: self.silence, read: 0, _slot: slot })
    }

    /// Starts the machine and waits for its first verdict. A machine that hangs in silence is started once more, and
    /// that is said: emulated machines hang now and then, but one that hangs twice has a reason.
    pub fn boot(&self) -> Result<(Running, Verdict, bool)> {
        let mut running = self.start()?;
        let verdict = running.wait()?;
        if !matches!(verdict, Verdict::Hung { .. }) {
            return Ok((running, verdict, false));
        }
        eprintln!("cfs-vm: the machine hung in silence and is started once more");
        drop(running);
        let mut running = self.start()?;
        let verdict = running.wait()?;
        Ok((running, verdict, true))
    }
}

impl Running {
    /// Waits until the boot under way has ended one way or the other.
    pub fn wait(&mut self) -> Result<Verdict> {
        let (begin, mut spoke, mut length) = (Instant::now(), Instant::now(), 0);
        loop {
            let boot_id = self.agent.poll_ready()?;
            let exited = self.child.try_wait().context("cannot ask for QEMU's state")?.is_some();
            let console = self.console()?;
            let fresh = console.get(self.read..).unwrap_or_default();
            if let Some(verdict) = boot_id.map(|boot_id| Verdict::Booted { boot_id }).or_else(|| verdict::read(fresh)) {
                self.read = console.len();
                return Ok(verdict);
            }
            if exited {
                return Ok(Verdict::Stopped { tail: verdict::tail(fresh) });
            }
            if console.len() != length {
                (spoke, length) = (Instant::now(), console.len());
            }
            if spoke.elapsed() > self.silence || begin.elapsed() > self.limit {
                return Ok(Verdict::Hung { tail: verdict::tail(fresh) });
            }
        }
    }

    /// Waits until the console says this, in what the verdicts so far have not used up; false if it did not.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.console()?.get(self.read..).is_some_and(|fresh| fresh.contains(text)) {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }

    /// Waits until the machine has switched itself off (or reset, where restarts end it); false if it did not.
    pub fn wait_end(&mut self, limit: Duration) -> Result<bool> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.child.try_wait().context("cannot ask for QEMU's state")?.is_some() {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(false)
    }

    /// The agent inside.
    pub fn agent(&mut self) -> &mut Agent {
        &mut self.agent
    }

    /// All that the serial console printed so far.
    pub fn console(&self) -> Result<String> {
        read_console(&self.work.path().join("console"))
    }

    /// Cuts the power. Writes that the guest had made are kept, as by a disk with a battery.
    pub fn cut_power(mut self) -> Result<Ended> {
        self.kill()?;
        let console = self.console()?;
        let work = std::mem::replace(&mut self.work, TempDir::new()?);
        Ok(Ended { console, vars: self.vars.clone(), _work: work })
    }

    fn kill(&mut self) -> Result<()> {
        // An error means that it has ended already.
        let _ = self.child.kill();
        self.child.wait().context("cannot wait for QEMU's end")?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// QEMU must not outlive a start that failed half way.
struct Guard(Option<Child>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn read_console(path: &Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read the console {}", path.display())),
    }
}
