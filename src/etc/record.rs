//! `staged-etc.json`: what the shutdown needs of a staging. One row a path; what it says four times, it says once.
//!
//! Bytes are hexadecimal: names in `/etc` need not be text. Only root reads it, for it holds small files of the image and
//! digests of what nobody else may see.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::listing::{of_defaults, Defaults, Mark, Scan};
use super::{Error, Item, Kind, Listing, Result};
use crate::image::{Node, Stat};
use crate::sys::{parent, Sys};

/// Where it lies, below the running system's root.
pub const STAGED_ETC: &str = "run/cfs-host/staged-etc.json";
/// The largest one that is read.
const MAX_BYTES: u64 = 64 << 20;

/// What a staging knew.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Record {
    /// The old image.
    pub(super) base: Listing,
    /// The new image.
    pub(super) image: Defaults,
    /// The machine, with marks that can be relied on.
    pub(super) machine: Scan,
    /// What was written.
    pub(super) target: Scan,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    items: Vec<Item>,
    /// The image's files whose bytes are in no object.
    inline: BTreeMap<String, String>,
    rows: Vec<Row>,
}

/// Path; the items of base, image, machine, target; the marks of the last two.
#[derive(Serialize, Deserialize)]
struct Row(String, [Option<u32>; 4], Option<Mark>, Option<Mark>);

/// Writes it, durable on return.
pub(super) fn write(sys: &Sys, root: &Path, record: &Record) -> Result<()> {
    let path = root.join(STAGED_ETC);
    let bytes = serde_json::to_vec(&document(record))
        .map_err(|error| Error::Record { path: path.clone(), why: error.to_string() })?;
    sys.create_dir(parent(&path), 0o755)?;
    Ok(sys.write_file(&path, &bytes, 0o600)?)
}

/// Reads it.
pub(super) fn read(root: &Path) -> Result<Record> {
    let path = root.join(STAGED_ETC);
    let read = || -> io::Result<Vec<u8>> {
        let metadata = path.symlink_metadata()?;
        match metadata.is_file() && metadata.len() <= MAX_BYTES {
            true => std::fs::read(&path),
            false => Err(io::Error::other(format!("not a regular file of at most {MAX_BYTES} bytes"))),
        }
    };
    let record = read().map_err(|error| error.to_string()).and_then(|bytes| parse(&bytes));
    record.map_err(|why| Error::Record { path, why })
}

fn document(record: &Record) -> Document {
    let image = of_defaults(&record.image);
    let listings = [&record.base, &image, &record.machine.listing, &record.target.listing];
    let (mut items, mut numbers) = (Vec::new(), HashMap::new());
    let paths: BTreeSet<&Vec<u8>> = listings.iter().flat_map(|listing| listing.keys()).collect();
    let rows = paths.into_iter().map(|path| {
        let cells = listings.map(|listing| {
            let item = listing.get(path)?;
            Some(*numbers.entry(item.clone()).or_insert_with(|| {
                items.push(item.clone());
                items.len() as u32 - 1
            }))
        });
        let (machine, target) = (record.machine.marks.get(path), record.target.marks.get(path));
        Row(hex::encode(path), cells, machine.copied(), target.copied())
    });
    let rows = rows.collect();
    let inline = record.image.iter().filter_map(|(path, (node, _))| match node {
        Node::Inline(bytes) => Some((hex::encode(path), hex::encode(bytes))),
        _ => None,
    });
    Document { version: 1, inline: inline.collect(), items, rows }
}

/// Parses bytes that somebody else may have written.
fn parse(bytes: &[u8]) -> std::result::Result<Record, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let document = serde_json::from_slice::<Document>(bytes).map_err(|error| match serde_json::from_slice(bytes) {
        Ok(Version { version }) if version != 1 => other_version(version),
        _ => error.to_string(),
    })?;
    if document.version != 1 {
        return Err(other_version(document.version));
    }
    let mut record = Record::default();
    for Row(name, cells, machine, target) in document.rows {
        let path = hex::decode(&name).ok().filter(|path| is_plain(path)).ok_or(format!("{name:?} is no path"))?;
        let item = |number: u32| document.items.get(number as usize).cloned().ok_or(format!("no item {number}"));
        let [base, image, here, there] = cells.map(|cell| cell.map(item).transpose());
        record.base.extend(base?.map(|item| (path.clone(), item)));
        record.machine.listing.extend(here?.map(|item| (path.clone(), item)));
        record.target.listing.extend(there?.map(|item| (path.clone(), item)));
        record.machine.marks.extend(machine.map(|mark| (path.clone(), mark)));
        record.target.marks.extend(target.map(|mark| (path.clone(), mark)));
        let node = image?.map(|item| node(item, document.inline.get(&name).map(String::as_str))).transpose()?;
        record.image.extend(node.map(|node| (path, node)));
    }
    Ok(record)
}

fn other_version(version: u32) -> String {
    format!("it has version {version}, this program reads version 1")
}

/// A path inside of `/etc`, or `/etc` itself.
fn is_plain(path: &[u8]) -> bool {
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
    path.is_empty() || path.split(|byte| *byte == b'/').all(plain)
}

/// The image's inode; what has no bytes of its own is an object.
fn node(item: Item, inline: Option<&str>) -> std::result::Result<(Node, Stat), String> {
    let node = match (item.kind, inline) {
        (Kind::Directory, _) => Node::Directory,
        (Kind::File(_), Some(text)) => Node::Inline(hex::decode(text).map_err(|error| error.to_string())?),
        (Kind::File(digest), None) => Node::Object { digest, size: 0 },
        (Kind::Symlink(target), _) => Node::Symlink(target),
        (Kind::Special(kind, rdev), _) => Node::Special { kind, rdev },
    };
    let (uid, gid) = item.owner;
    Ok((node, Stat { mode: item.mode, uid, gid, mtime: 0, xattrs: item.xattrs }))
}

/// Bytes in JSON.
pub(super) mod hex_bytes {
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub(in crate::etc) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(in crate::etc) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Names and values in JSON.
pub(super) mod hex_pairs {
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    use super::super::Xattrs;

    pub(in crate::etc) fn serialize<S: Serializer>(pairs: &Xattrs, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(pairs.iter().map(|(name, value)| (hex::encode(name), hex::encode(value))))
    }

    pub(in crate::etc) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Xattrs, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(from)?;
        let bytes = |text: String| hex::decode(text).map_err(D::Error::custom);
        pairs.into_iter().map(|(name, value)| Ok((bytes(name)?, bytes(value)?))).collect()
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
