//! Disk images from outside: what lies on the ESP and on the root file system, and ways to damage it.
//!
//! What the owner of a disk can do, with mtools and debugfs on the image file: no mount, no loop device.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context, Result};
use serde::Deserialize;

use crate::{cmd, command};

/// GPT type of the EFI system partition.
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
/// GPT type of an x86-64 root.
const ROOT: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
const BLOCK: u64 = 4096;

/// A raw disk image.
#[derive(Clone, Debug)]
pub struct Disk {
    path: PathBuf,
    esp: Partition,
    root: Option<Partition>,
}

/// Where a partition lies, in bytes.
#[derive(Clone, Debug)]
struct Partition {
    start: u64,
    size: u64,
}

impl Disk {
    /// Reads the partition table of a raw image.
    pub fn open(path: &Path) -> Result<Self> {
        let partitions = partitions(path)?;
        let find =
            |kind: &str| partitions.iter().find(|(one, _)| one.eq_ignore_ascii_case(kind)).map(|(_, p)| p.clone());
        let esp = find(ESP).with_context(|| format!("{} has no EFI system partition", path.display()))?;
        Ok(Self { path: path.to_owned(), esp, root: find(ROOT) })
    }

    /// A copy to damage.
    pub fn copy_to(&self, path: &Path) -> Result<Self> {
        command::copy_sparse(&self.path, path)?;
        Ok(Self { path: path.to_owned(), ..self.clone() })
    }

    /// The image file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    // --- the ESP ---

    /// All files of the ESP, as `EFI/BOOT/BOOTX64.EFI`.
    pub fn esp_list(&self) -> Result<Vec<String>> {
        let out =
            command::text(cmd!("mdir", "-/", "-b", "-f", "-i", self.esp_image(), "::").env("MTOOLS_SKIP_CHECK", "1"))?;
        Ok(out
            .lines()
            .filter_map(|line| line.strip_prefix("::/"))
            .filter(|name| !name.ends_with('/'))
            .map(str::to_owned)
            .collect())
    }

    /// The only file of the ESP whose path begins and ends so.
    pub fn esp_find(&self, start: &str, end: &str) -> Result<String> {
        let fits = |name: &String| name.starts_with(start) && name.ends_with(end);
        let mut found: Vec<String> = self.esp_list()?.into_iter().filter(fits).collect();
        ensure!(found.len() == 1, "the ESP of {} has not one {start}*{end} but {found:?}", self.path.display());
        Ok(found.remove(0))
    }

    /// A file's content.
    pub fn esp_read(&self, path: &str) -> Result<Vec<u8>> {
        command::output(&mut cmd!("mtype", "-i", self.esp_image(), format!("::{path}")))
    }

    /// Writes a file, over an older one too.
    pub fn esp_write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = temporary(bytes)?;
        command::run(&mut cmd!("mcopy", "-o", "-i", self.esp_image(), file.path(), format!("::{path}")))
    }

    /// Removes a file.
    pub fn esp_remove(&self, path: &str) -> Result<()> {
        command::run(&mut cmd!("mdel", "-i", self.esp_image(), format!("::{path}")))
    }

    /// Replaces the whole ESP by that of another disk.
    pub fn esp_transplant(&self, from: &Disk) -> Result<()> {
        ensure!(from.esp.size == self.esp.size, "the two ESPs differ in size: {} and {}", from.esp.size, self.esp.size);
        let mut source = File::open(&from.path).with_context(|| format!("cannot read {}", from.path.display()))?;
        let mut target = self.open_for_writing()?;
        source.seek(SeekFrom::Start(from.esp.start))?;
        target.seek(SeekFrom::Start(self.esp.start))?;
        std::io::copy(&mut source.take(from.esp.size), &mut target).context("cannot copy the ESP")?;
        Ok(())
    }

    fn esp_image(&self) -> String {
        format!("{}@@{}", self.path.display(), self.esp.start)
    }

    // --- the root file system ---

    /// The names in a directory, sorted.
    pub fn root_list(&self, path: &str) -> Result<Vec<String>> {
        let out = self.debugfs(false, &format!("ls -p {}", quoted(path)?))?;
        let names = out.lines().filter_map(|line| line.split('/').nth(5));
        let mut names: Vec<String> =
            names.filter(|name| !matches!(*name, "" | "." | "..")).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// A file's content.
    pub fn root_read(&self, path: &str) -> Result<Vec<u8>> {
        let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
        let copy = dir.path().join("file");
        self.debugfs(false, &format!("dump {} {}", quoted(path)?, copy.display()))?;
        std::fs::read(&copy).with_context(|| format!("{path} was not found on {}", self.path.display()))
    }

    /// Writes a file, in place of an older one too: a new inode, so without fs-verity.
    pub fn root_write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = temporary(bytes)?;
        if self.root_has(path)? {
            self.root_remove(path)?;
        }
        self.debugfs(true, &format!("write {} {}", file.path().display(), quoted(path)?))?;
        ensure!(self.root_read(path)? == bytes, "debugfs did not write {path}");
        Ok(())
    }

    /// Removes a file.
    pub fn root_remove(&self, path: &str) -> Result<()> {
        self.debugfs(true, &format!("rm {}", quoted(path)?))?;
        ensure!(!self.root_has(path)?, "debugfs did not remove {path}");
        Ok(())
    }

    /// Whether there is something of this name.
    pub fn root_has(&self, path: &str) -> Result<bool> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("/", path));
        Ok(self.root_list(if directory.is_empty() { "/" } else { directory })?.iter().any(|one| one == name))
    }

    /// Inverts the byte at `at` where it lies on the disk: the inode, and fs-verity, do not notice.
    pub fn root_flip(&self, path: &str, at: u64) -> Result<()> {
        let block = at / BLOCK;
        let out = self.debugfs(false, &format!("bmap {} {block}", quoted(path)?))?;
        let physical: u64 = out.split_whitespace().last().and_then(|word| word.parse().ok()).unwrap_or(0);
        ensure!(physical != 0, "{path} has no block {block} on {}: {}", self.path.display(), out.trim());
        self.flip(self.root_partition()?.start + physical * BLOCK + at % BLOCK)
    }

    fn flip(&self, offset: u64) -> Result<()> {
        let file = self.open_for_writing()?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).with_context(|| format!("cannot read {}", self.path.display()))?;
        file.write_all_at(&[!byte[0]], offset).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Runs one debugfs request. debugfs ends with 0 whatever happens: a complaint on standard error is its failure.
    fn debugfs(&self, write: bool, request: &str) -> Result<String> {
        let image = format!("{}?offset={}", self.path.display(), self.root_partition()?.start);
        let mut command = cmd!("debugfs", "-R", request);
        if write {
            command.arg("-w");
        }
        let out = command.arg(image).output().context("cannot start debugfs: is e2fsprogs installed?")?;
        let complaint = String::from_utf8_lossy(&out.stderr);
        let complaint: Vec<&str> = complaint.lines().filter(|line| !line.starts_with("debugfs ")).collect();
        if !complaint.is_empty() {
            bail!("debugfs {request:?} on {}: {}", self.path.display(), complaint.join("; "));
        }
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    fn root_partition(&self) -> Result<&Partition> {
        self.root.as_ref().with_context(|| format!("{} has no root partition", self.path.display()))
    }

    fn open_for_writing(&self) -> Result<File> {
        let open = OpenOptions::new().read(true).write(true).open(&self.path);
        open.with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The partitions of an image with their types.
fn partitions(path: &Path) -> Result<Vec<(String, Partition)>> {
    #[derive(Deserialize)]
    struct Output {
        partitiontable: Table,
    }
    #[derive(Deserialize)]
    struct Table {
        sectorsize: u64,
        partitions: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        r#type: String,
        start: u64,
        size: u64,
    }
    let json = command::output(&mut cmd!("sfdisk", "-J", path))?;
    let Output { partitiontable: table } =
        serde_json::from_slice(&json).with_context(|| format!("sfdisk did not understand {}", path.display()))?;
    let in_bytes = |sectors: u64| sectors * table.sectorsize;
    let parse = |row: Row| (row.r#type, Partition { start: in_bytes(row.start), size: in_bytes(row.size) });
    Ok(table.partitions.into_iter().map(parse).collect())
}

fn temporary(bytes: &[u8]) -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    file.write_all(bytes).context("cannot write a temporary file")?;
    file.flush()?;
    Ok(file)
}

/// A path as a debugfs argument.
fn quoted(path: &str) -> Result<String> {
    ensure!(!path.contains(['"', '\n']), "debugfs can not name {path:?}");
    Ok(format!("\"{path}\""))
}
