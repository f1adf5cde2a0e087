//! The machine of one day, its power on.

use std::ops::{Deref, DerefMut};

use anyhow::{ensure, Context, Result};
use tempfile::TempDir;

use super::cut::Recorded;
use super::media::Media;
use super::HOST;
use crate::bench::Bench;
use crate::case::Shown;
use crate::command;
use crate::disk::Disk;
use crate::firmware;
use crate::inside;
use crate::powered::{Hung, Powered};
use crate::verdict::Verdict;

/// The write log of a day that is logged.
pub(super) const LOG: &str = "log";
/// Waits until all that a boot starts has been started, and none of it is failed. Not by the word `running`: on a slow machine a
/// service is started a second time now and then.
const SETTLED: &str =
    "systemctl is-system-running --wait >/dev/null; failed=$(systemctl --failed --no-legend --plain); \
    echo \"$failed\"; for unit in ${failed%% *}; do journalctl -b -o cat -n 8 -u $unit; done; test -z \"$failed\"";

/// A host with podman.
pub struct Visit {
    /// Its disk as the day began; not to be written.
    pub before: Disk,
    /// Its disk.
    pub disk: Disk,
    /// What was recorded on a day that is logged.
    pub(super) recorded: Option<Recorded>,
    /// What is on the second one.
    pub media: Media,
    power: Powered,
    /// It hung since this was last asked for.
    hung: bool,
    /// For further files; gone when the day ends.
    pub dir: TempDir,
}

impl Visit {
    /// A machine that booted before: fs-verity is on for all objects of its host image.
    pub fn new(bench: &Bench, logged: bool) -> Result<Self> {
        let host = bench.host(&HOST)?;
        let dir = tempfile::Builder::new().prefix("cfs-vm-").tempdir().context("cannot make a working directory")?;
        let before = bench.booted(&host)?;
        let disk = before.copy_to(&dir.path().join("disk.img"))?;
        let vars = dir.path().join("vars.fd");
        std::fs::copy(firmware::enrolled(&host.sealed.keys)?, &vars).context("cannot copy the variables")?;
        let media = Media::get()?;
        let mut power = Powered::new(&disk, &vars);
        power.machine.memory = 2048;
        // A copy of its own, since QEMU locks what it opens.
        let second = dir.path().join("media.img");
        command::copy_sparse(&media.image, &second)?;
        power.machine.disks.push(second);
        if logged {
            let log = dir.path().join(LOG);
            std::fs::write(&log, b"").context("cannot make the write log")?;
            power.machine.write_log = Some(log);
        }
        let mut visit = Self { before, disk, recorded: None, media, power, hung: false, dir };
        visit.power_on()?;
        Ok(visit)
    }

    /// Shows one thing; if that fails, the end of the console is told too.
    pub fn show(&mut self, go: fn(&mut Self) -> Result<String>) -> Result<Shown> {
        let line = go(self).map_err(|error| self.explained(error))?;
        Ok(Shown { line, retried: std::mem::take(&mut self.hung) })
    }

    /// Power on; it comes up, verified, with all its services.
    pub fn power_on(&mut self) -> Result<()> {
        self.switch_on()?;
        self.come_up()
    }

    /// A restart as a person asks for it.
    pub fn restart(&mut self) -> Result<()> {
        self.check("(sleep 1; systemctl reboot) </dev/null >/dev/null 2>&1 & sleep 0")?;
        self.come_up()
    }

    /// A machine that hangs in silence is started once more; one whose writes are logged, from the disk before the log.
    fn come_up(&mut self) -> Result<()> {
        let verdict = match self.verdict() {
            Err(error) if error.downcast_ref::<Hung>().is_some() => {
                self.hung = true;
                self.power_off()?;
                if self.machine.write_log.is_some() {
                    self.before.copy_to(self.disk.path())?;
                }
                self.switch_on()?;
                self.verdict()
            }
            other => other,
        }?;
        ensure!(matches!(verdict, Verdict::Booted { .. }), "it did not come up: {verdict:#?}");
        inside::enforcing(self.running()?)?;
        self.check(SETTLED)?;
        self.check("mkdir -p /run/media && mount -o ro /dev/vdb /run/media").map(drop)
    }

    /// Off, with all that was written on the disk and nothing left in the journal, which would undo what is written from outside.
    pub fn shut_down(&mut self) -> Result<()> {
        self.check(
            "sync; echo u >/proc/sysrq-trigger; \
             for try in $(seq 60); do grep -q ' /sysroot ext4 ro' /proc/mounts && exit; sleep 1; done; cat /proc/mounts; false",
        )?;
        self.power_off()
    }

    /// A command that has to fail; what it said.
    pub fn refused(&mut self, command: &str) -> Result<String> {
        let answer = self.run(command)?;
        ensure!(answer.code != 0, "{command:?} succeeded: {}", answer.output.trim());
        Ok(answer.output.trim().to_owned())
    }

    /// Bytes that the disk's root file system has in use, all that was written counted.
    pub fn used(&mut self) -> Result<i64> {
        let text = self.check("sync; df --output=used -B1 /var | tail -n 1")?;
        text.trim().parse().with_context(|| format!("df said {text:?}"))
    }

    /// What a container of this image prints.
    pub fn container(&mut self, image: &str, script: &str) -> Result<String> {
        ensure!(!script.contains('"'), "{script:?} stands in double quotes");
        self.check(&format!("podman run --rm --network=none {image} sh -c \"{}\"", script.replace('$', "\\$")))
    }

    /// A container of this image has every file of the app as it was built.
    pub fn whole(&mut self, image: &str) -> Result<()> {
        let found = self.container(image, super::media::TREE)?;
        ensure!(found == self.media.tree, "a container of {image} has not the files that were built: {found}");
        Ok(())
    }

    /// The store of the host has nothing that is damaged.
    pub fn sound(&mut self) -> Result<()> {
        let found = self.ask("fsck")?;
        ensure!(found["findings"].as_array().is_some_and(Vec::is_empty), "fsck of the host's store: {found}");
        Ok(())
    }

    /// Names that `podman images` shows, and whether each is read-only.
    pub fn images(&mut self) -> Result<Vec<String>> {
        let text = self.check("podman images --format '{{.Repository}}:{{.Tag}} {{.ReadOnly}}'")?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines)
    }
}

/// A visit is asked, and switched on and off, as any machine is.
impl Deref for Visit {
    type Target = Powered;

    fn deref(&self) -> &Powered {
        &self.power
    }
}

impl DerefMut for Visit {
    fn deref_mut(&mut self) -> &mut Powered {
        &mut self.power
    }
}
