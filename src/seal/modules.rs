//! The kernel modules of the initrd: what a disk, its file system and composefs need, in the order of loading.
//!
//! depmod's index files say what depends on what; nothing is guessed from symbols. Modules keep their signatures:
//! under Secure Boot the kernel refuses others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::files::Files;
use super::kernel::MODULES_DIR;
use super::{Error, Result};

/// Needed to read the loader's variables and to mount the image.
const REQUIRED: [&str; 3] = ["efivarfs", "erofs", "overlay"];
/// Disks; a kernel without one of them cannot boot from such a disk, and that is all.
const STORAGE: [&str; 6] = ["virtio_pci", "virtio_blk", "virtio_scsi", "nvme", "ahci", "sd_mod"];
/// The largest module after decompression.
const MAX_MODULE: u64 = 128 * 1024 * 1024;

/// A module as it lies in the initrd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// `/modules/<order>-<name>.ko`.
    pub path: String,
    /// Decompressed.
    pub bytes: Vec<u8>,
}

/// All modules that the initrd needs: required ones, the root file system, storage, and `extra`, which must exist.
pub fn collect(files: &dyn Files, version: &str, root_fs: &str, extra: &[String]) -> Result<Vec<Module>> {
    let index = Index::read(files, version)?;
    let mut order = Order::default();
    for name in REQUIRED.iter().copied().chain([root_fs]).chain(extra.iter().map(String::as_str)) {
        if !index.knows(name) {
            let path = format!("{MODULES_DIR}/{version}/**/{name}.ko");
            return Err(Error::Missing { path, hint: "the kernel has it neither built in nor as a module".into() });
        }
        order.visit(&index, name);
    }
    for name in STORAGE {
        order.visit(&index, name);
    }
    let load = |(position, name): (usize, &String)| {
        let path = &index.paths[name];
        let path = format!("{MODULES_DIR}/{version}/{path}");
        let packed = files.require(&path, "modules.dep names it; run depmod in the Containerfile")?;
        Ok(Module { path: format!("/modules/{position:02}-{name}.ko"), bytes: decompress(&path, &packed)? })
    };
    order.names.iter().enumerate().map(load).collect()
}

/// What depmod wrote. Names are spelt with `_`, as the kernel does.
#[derive(Debug, Default)]
struct Index {
    paths: BTreeMap<String, String>,
    needs: BTreeMap<String, Vec<String>>,
    builtin: BTreeSet<String>,
    before: BTreeMap<String, Vec<String>>,
    after: BTreeMap<String, Vec<String>>,
    aliases: BTreeMap<String, Vec<String>>,
}

impl Index {
    fn read(files: &dyn Files, version: &str) -> Result<Self> {
        let path = |name: &str| format!("{MODULES_DIR}/{version}/{name}");
        let hint = format!("run `depmod {version}` in the Containerfile");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let mut index = Index::default();
        for line in text(files.require(&path("modules.dep"), &hint)?).lines() {
            let Some((module, needs)) = line.split_once(':') else { continue };
            let name = module_name(module);
            index.needs.insert(name.clone(), needs.split_whitespace().map(module_name).collect());
            index.paths.insert(name, module.to_owned());
        }
        let optional = |name: &str| Ok::<_, Error>(files.read(&path(name))?.map(text).unwrap_or_default());
        index.builtin = optional("modules.builtin")?.lines().map(module_name).collect();
        for line in optional("modules.softdep")?.lines() {
            index.soft_dependency(line);
        }
        for line in optional("modules.alias")?.lines() {
            if let ["alias", alias, module] = line.split_whitespace().collect::<Vec<_>>()[..] {
                index.aliases.entry(alias.to_owned()).or_default().push(module_name(module));
            }
        }
        Ok(index)
    }

    /// `softdep NAME pre: A B post: C`
    fn soft_dependency(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some("softdep"), Some(name)) = (words.next(), words.next()) else { return };
        let name = module_name(name);
        let mut list = None;
        for word in words {
            match word {
                "pre:" => list = Some(self.before.entry(name.clone()).or_default()),
                "post:" => list = Some(self.after.entry(name.clone()).or_default()),
                other => {
                    if let Some(list) = &mut list {
                        list.push(other.to_owned());
                    }
                }
            }
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.builtin.contains(&module_name(name)) || self.paths.contains_key(&module_name(name))
    }

    /// The modules behind a name that may be an alias, such as `crc32c` of a soft dependency.
    fn resolve(&self, name: &str) -> Vec<String> {
        let plain = module_name(name);
        if self.builtin.contains(&plain) || self.paths.contains_key(&plain) {
            return vec![plain];
        }
        self.aliases.get(name).cloned().unwrap_or_default()
    }
}

/// Names in the order of loading, each once.
#[derive(Debug, Default)]
struct Order {
    seen: BTreeSet<String>,
    names: Vec<String>,
}

impl Order {
    /// Dependencies first. A name that is built in or unknown is skipped.
    fn visit(&mut self, index: &Index, name: &str) {
        let name = module_name(name);
        let Some(needs) = index.needs.get(&name).filter(|_| !index.builtin.contains(&name)) else { return };
        if !self.seen.insert(name.clone()) {
            return;
        }
        let soft = |table: &BTreeMap<String, Vec<String>>| {
            let names = table.get(&name).into_iter().flatten();
            names.flat_map(|name| index.resolve(name)).collect::<Vec<_>>()
        };
        for needed in soft(&index.before).iter().chain(needs) {
            self.visit(index, needed);
        }
        self.names.push(name.clone());
        for later in soft(&index.after) {
            self.visit(index, &later);
        }
    }
}

/// `kernel/fs/x-y.ko.xz` to `x_y`.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

fn decompress(path: &str, packed: &[u8]) -> Result<Vec<u8>> {
    let reader: std::io::Result<Box<dyn Read + '_>> = match path.rsplit('.').next() {
        Some("xz") => Ok(Box::new(xz2::read::XzDecoder::new(packed))),
        Some("zst") => zstd::stream::read::Decoder::new(packed).map(|decoder| Box::new(decoder) as Box<dyn Read>),
        Some("gz") => Ok(Box::new(flate2::read::MultiGzDecoder::new(packed))),
        _ => Ok(Box::new(packed)),
    };
    let mut bytes = Vec::new();
    let read = reader.and_then(|reader| reader.take(MAX_MODULE + 1).read_to_end(&mut bytes));
    let bad = |why: String| Error::File { path: path.to_owned(), why };
    read.map_err(|error| bad(format!("it cannot be decompressed: {error}")))?;
    if bytes.len() as u64 > MAX_MODULE {
        return Err(bad(format!("it is larger than {MAX_MODULE} bytes")));
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(bad("it is not a kernel module".into()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::files::tests::Fake;
    use std::io::Write;

    const DIR: &str = "usr/lib/modules/6.1";

    fn example() -> Fake {
        let dep = "kernel/fs/erofs/erofs.ko.xz: kernel/lib/libcrc32c.ko.zst\nkernel/lib/libcrc32c.ko.zst:\n\
                   kernel/crypto/crc32c-intel.ko.gz:\nkernel/fs/overlayfs/overlay.ko:\n\
                   kernel/drivers/scsi/sd_mod.ko: kernel/drivers/scsi/scsi_mod.ko kernel/drivers/scsi/scsi_common.ko\n\
                   kernel/drivers/scsi/scsi_mod.ko: kernel/drivers/scsi/scsi_common.ko\nkernel/drivers/scsi/scsi_common.ko:\n";
        let elf = b"\x7fELF module";
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 0);
        xz.write_all(elf).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(elf).unwrap();
        let mut files = Fake::default()
            .with(&format!("{DIR}/modules.dep"), dep.as_bytes())
            .with(&format!("{DIR}/modules.builtin"), b"kernel/fs/ext4/ext4.ko\nkernel/fs/efivarfs/efivarfs.ko\n")
            .with(&format!("{DIR}/modules.softdep"), b"# text\nsoftdep libcrc32c pre: crc32c post: nothing\n")
            .with(&format!("{DIR}/modules.alias"), b"alias crc32c crc32c_intel\n")
            .with(&format!("{DIR}/kernel/fs/erofs/erofs.ko.xz"), &xz.finish().unwrap())
            .with(&format!("{DIR}/kernel/lib/libcrc32c.ko.zst"), &zstd::encode_all(&elf[..], 1).unwrap())
            .with(&format!("{DIR}/kernel/crypto/crc32c-intel.ko.gz"), &gz.finish().unwrap());
        for plain in
            ["fs/overlayfs/overlay", "drivers/scsi/sd_mod", "drivers/scsi/scsi_mod", "drivers/scsi/scsi_common"]
        {
            files = files.with(&format!("{DIR}/kernel/{plain}.ko"), elf);
        }
        files
    }

    #[test]
    fn dependencies_come_first_and_compression_is_undone() {
        let modules = collect(&example(), "6.1", "ext4", &[]).unwrap();
        let paths: Vec<_> = modules.iter().map(|module| module.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/modules/00-crc32c_intel.ko",
                "/modules/01-libcrc32c.ko",
                "/modules/02-erofs.ko",
                "/modules/03-overlay.ko",
                "/modules/04-scsi_common.ko",
                "/modules/05-scsi_mod.ko",
                "/modules/06-sd_mod.ko",
            ]
        );
        assert!(modules.iter().all(|module| module.bytes == b"\x7fELF module"));
    }

    #[test]
    fn a_missing_required_module_is_named_and_missing_storage_is_not_missed() {
        let message = collect(&example(), "6.1", "btrfs", &[]).unwrap_err().to_string();
        assert!(message.contains("btrfs.ko"), "{message}");
        let message = collect(&example(), "6.1", "ext4", &["no-such".into()]).unwrap_err().to_string();
        assert!(message.contains("no-such.ko"), "{message}");
    }

    #[test]
    fn without_depmod_the_hint_says_so() {
        let message = collect(&Fake::default(), "6.1", "ext4", &[]).unwrap_err().to_string();
        assert!(message.contains("depmod 6.1"), "{message}");
    }

    #[test]
    fn a_damaged_module_is_named() {
        let files = example().with(&format!("{DIR}/kernel/fs/erofs/erofs.ko.xz"), b"not xz");
        let message = collect(&files, "6.1", "ext4", &[]).unwrap_err().to_string();
        assert!(message.contains("erofs.ko.xz"), "{message}");
    }

    #[test]
    fn a_circle_of_dependencies_ends() {
        let files =
            example().with(&format!("{DIR}/modules.dep"), b"a/erofs.ko: a/b.ko\na/b.ko: a/erofs.ko\na/overlay.ko:\n");
        assert!(collect(&files, "6.1", "ext4", &[]).is_err(), "the files are missing, but it ended");
    }
}
