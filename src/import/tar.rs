//! Tar headers to entries: one parser for a layer that is being imported and for one that is read back from the store.
//!
//! `tar-core` knows the header formats (ustar, GNU long names, PAX); the rules of what a host image may
//! contain are here. A refusal names the entry.

use std::fmt::Display;
use std::io;

use rustix::fs::makedev;
use tar_core::parse::{Limits, ParseEvent, ParsedEntry, Parser};
use tar_core::{EntryType, PaxExtensions, HEADER_SIZE};

use super::entry::{clean_path, Entry, Item, Metadata};
use super::Fault;
use crate::model::Digest;

/// Larger regular files are objects; the limit is part of the image format.
pub(super) const INLINE_MAX: u64 = 64;
/// Data after the header of anything but a regular file has no meaning; more than this is an attack.
const ODD_DATA_MAX: u64 = 1 << 20;
/// Longest path and link target: the kernel's `PATH_MAX`, with its NUL.
const PATH_MAX: u32 = 4095;
const XATTR_NAME_MAX: usize = 255;
const XATTR_VALUE_MAX: usize = 65535;

/// The data of an entry.
#[derive(Debug)]
pub(super) enum Data {
    /// All of it.
    Inline(Vec<u8>),
    /// It is in the store.
    Object(Digest),
}

/// A tar stream, split or yet to be split.
pub(super) trait TarStream {
    /// Fills the buffer with header bytes; false if the stream ends before the first.
    fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool>;

    /// The next `size` bytes of data, without the padding, which is skipped. `object`: to be kept in the store.
    fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault>;
}

/// Reads all entries up to the end marker, or up to the end of a stream that has none.
pub(super) fn entries(stream: &mut impl TarStream) -> Result<Vec<Entry>, Fault> {
    let limits = Limits { max_path_len: Some(PATH_MAX), ..Limits::default() };
    let mut parser = Parser::new(limits);
    let mut entries = Vec::new();
    let mut header = Vec::new();
    let mut need = HEADER_SIZE;
    loop {
        let have = header.len();
        header.resize(need.next_multiple_of(HEADER_SIZE).max(have), 0);
        let more = stream.header(&mut header[have..]).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Truncated,
            _ => Fault::Read(error),
        })?;
        if !more {
            return if have == 0 { Ok(entries) } else { Err(Fault::Truncated) };
        }
        match parser.parse(&header).map_err(|error| malformed(b"", error))? {
            ParseEvent::NeedData { min_bytes } => need = min_bytes,
            ParseEvent::GlobalExtensions { .. } => (header, need) = (Vec::new(), HEADER_SIZE),
            ParseEvent::End { .. } => return Ok(entries),
            ParseEvent::SparseEntry { entry, .. } => {
                return Err(malformed(&entry.path, "it is a sparse file; build the layer without sparse files"))
            }
            ParseEvent::Entry { entry, .. } => {
                entries.push(read_entry(&entry, stream)?);
                (header, need) = (Vec::new(), HEADER_SIZE);
            }
        }
    }
}

fn read_entry(parsed: &ParsedEntry<'_>, stream: &mut impl TarStream) -> Result<Entry, Fault> {
    let refuse = |why: &'static str| malformed(&parsed.path, why);
    let path = clean_path(&parsed.path).map_err(refuse)?;
    let meta = metadata(parsed)?;
    let file = matches!(parsed.entry_type, EntryType::Regular | EntryType::Continuous);
    if !file && parsed.size > ODD_DATA_MAX {
        return Err(refuse("it is no regular file and has data"));
    }
    let data = stream.data(parsed.size, file && parsed.size > INLINE_MAX)?;
    let target = || parsed.link_target.as_deref().ok_or_else(|| refuse("it is a link without a target"));
    let item = match (parsed.entry_type, data) {
        (EntryType::Regular | EntryType::Continuous, Data::Inline(bytes)) => Item::Inline(bytes),
        (EntryType::Regular | EntryType::Continuous, Data::Object(digest)) => {
            Item::Object { digest, size: parsed.size }
        }
        (EntryType::Directory, _) => Item::Directory,
        (EntryType::Symlink, _) => Item::Symlink(target()?.to_vec()),
        (EntryType::Link, _) => Item::HardLink(clean_path(target()?).map_err(refuse)?),
        (EntryType::Char, _) => Item::Special { kind: libc_kind::CHAR, rdev: device(parsed)? },
        (EntryType::Block, _) => Item::Special { kind: libc_kind::BLOCK, rdev: device(parsed)? },
        (EntryType::Fifo, _) => Item::Special { kind: libc_kind::FIFO, rdev: 0 },
        (other, _) => return Err(malformed(&parsed.path, format!("entries of type {other:?} are not supported"))),
    };
    Ok(Entry { path, meta, item })
}

/// `S_IFMT` bits, the same on every Linux.
pub(crate) mod libc_kind {
    /// Character device.
    pub const CHAR: u32 = 0o020000;
    /// Block device.
    pub const BLOCK: u32 = 0o060000;
    /// Named pipe.
    pub const FIFO: u32 = 0o010000;
}

fn metadata(parsed: &ParsedEntry<'_>) -> Result<Metadata, Fault> {
    let refuse = |why: &'static str| malformed(&parsed.path, why);
    for (name, value) in &parsed.xattrs {
        if name.is_empty() || name.len() > XATTR_NAME_MAX || name.contains(&0) || value.len() > XATTR_VALUE_MAX {
            return Err(refuse("it has an extended attribute that no file system could hold"));
        }
    }
    Ok(Metadata {
        mode: parsed.mode & 0o7777,
        uid: u32::try_from(parsed.uid).map_err(|_| refuse("its owner is out of range"))?,
        gid: u32::try_from(parsed.gid).map_err(|_| refuse("its group is out of range"))?,
        mtime: i64::try_from(parsed.mtime).map_err(|_| refuse("its time is out of range"))?,
        mtime_nsec: parsed.pax.map_or(0, nanoseconds),
        xattrs: parsed.xattrs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
    })
}

/// The fraction of PAX `mtime`, cut to nine digits; 0 if there is none.
fn nanoseconds(pax: &[u8]) -> u32 {
    let mtime = PaxExtensions::new(pax).flatten().find(|extension| extension.key_bytes() == b"mtime");
    let Some((_, fraction)) = mtime.as_ref().and_then(|mtime| mtime.value().ok()?.split_once('.')) else {
        return 0;
    };
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return 0;
    }
    fraction.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
}

/// The device number, as far as EROFS and the kernel's 32-bit form hold it.
fn device(parsed: &ParsedEntry<'_>) -> Result<u64, Fault> {
    match (parsed.dev_major, parsed.dev_minor) {
        (Some(major @ ..0x1000), Some(minor @ ..0x10_0000)) => Ok(makedev(major, minor)),
        _ => Err(malformed(&parsed.path, "its device number is missing or out of range")),
    }
}

fn malformed(path: &[u8], why: impl Display) -> Fault {
    match path {
        b"" => Fault::Malformed(why.to_string()),
        path => Fault::Malformed(format!("entry {:?}: {why}", String::from_utf8_lossy(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Memory<'a>(&'a [u8]);

    impl TarStream for Memory<'_> {
        fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
            if self.0.is_empty() {
                return Ok(false);
            }
            io::Read::read_exact(&mut self.0, buffer)?;
            Ok(true)
        }

        fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault> {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let padded = size.checked_next_multiple_of(512).filter(|padded| *padded <= self.0.len());
            let (data, rest) = self.0.split_at(padded.ok_or(Fault::Truncated)?);
            self.0 = rest;
            let digest = Digest::new([1; 32]);
            Ok(if object { Data::Object(digest) } else { Data::Inline(data[..size].to_vec()) })
        }
    }

    fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        builder.into_inner().unwrap()
    }

    fn header(kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o100_4755);
        header.set_mtime(7);
        header
    }

    #[test]
    fn every_kind_of_entry_is_read() {
        let bytes = archive(|tar| {
            tar.append_data(&mut header(tar::EntryType::Directory, 0), "./dir/", &[][..]).unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 64), "dir/small", &[1; 64][..]).unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 65), "dir/large", &[1; 65][..]).unwrap();
            tar.append_link(&mut header(tar::EntryType::Symlink, 0), "dir/sym", "../x".repeat(100)).unwrap();
            tar.append_link(&mut header(tar::EntryType::Link, 0), "dir/hard", "/dir/small").unwrap();
            let mut device = header(tar::EntryType::Char, 0);
            device.set_device_major(1).unwrap();
            device.set_device_minor(3).unwrap();
            tar.append_data(&mut device, "null", &[][..]).unwrap();
        });
        let entries = entries(&mut Memory(&bytes)).unwrap();
        let items: Vec<_> =
            entries.iter().map(|entry| (std::str::from_utf8(&entry.path).unwrap(), entry.item.clone())).collect();
        let expected = [
            ("dir", Item::Directory),
            ("dir/small", Item::Inline(vec![1; 64])),
            ("dir/large", Item::Object { digest: Digest::new([1; 32]), size: 65 }),
            ("dir/sym", Item::Symlink("../x".repeat(100).into())),
            ("dir/hard", Item::HardLink("dir/small".into())),
            ("null", Item::Special { kind: libc_kind::CHAR, rdev: makedev(1, 3) }),
        ];
        assert_eq!(items, expected);
        assert_eq!(entries[1].meta.mode, 0o4755);
    }

    #[test]
    fn pax_records_give_long_names_times_and_attributes() {
        let bytes = archive(|tar| {
            let long = "n".repeat(200);
            tar.append_pax_extensions([
                ("path", long.as_bytes()),
                ("mtime", b"12.0345".as_slice()),
                ("SCHILY.xattr.security.capability", b"\x01\x00".as_slice()),
            ])
            .unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 0), "short", &[][..]).unwrap();
        });
        let entries = entries(&mut Memory(&bytes)).unwrap();
        assert_eq!(entries[0].path, [b'n'; 200]);
        assert_eq!((entries[0].meta.mtime, entries[0].meta.mtime_nsec), (12, 34_500_000));
        assert_eq!(entries[0].meta.xattrs, [(b"security.capability".to_vec(), b"\x01\x00".to_vec())]);
    }

    fn refusal(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> String {
        entries(&mut Memory(&archive(build))).unwrap_err().to_string()
    }

    #[test]
    fn what_a_host_image_may_not_contain_is_refused_by_name() {
        let climbing = refusal(|tar| {
            let mut header = header(tar::EntryType::Regular, 0);
            header.as_old_mut().name[..7].copy_from_slice(b"../evil");
            header.set_cksum();
            tar.append(&header, &[][..]).unwrap();
        });
        assert!(climbing.contains("../evil"), "{climbing}");
        let device = refusal(|tar| {
            let mut header = header(tar::EntryType::Block, 0);
            header.set_device_major(0x1000).unwrap();
            header.set_device_minor(0).unwrap();
            tar.append_data(&mut header, "dev", &[][..]).unwrap();
        });
        assert!(device.contains("device number"), "{device}");
        let sparse = refusal(|tar| {
            tar.append_pax_extensions([("GNU.sparse.map", b"0,1".as_slice()), ("GNU.sparse.size", b"9".as_slice())])
                .unwrap();
            tar.append_data(&mut header(tar::EntryType::Regular, 1), "s", &[1][..]).unwrap();
        });
        assert!(sparse.contains("sparse"), "{sparse}");
    }

    #[test]
    fn a_cut_in_a_header_or_in_data_is_seen_and_a_missing_end_marker_is_not_missed() {
        let bytes = archive(|tar| {
            tar.append_data(&mut header(tar::EntryType::Regular, 600), "f", &[1; 600][..]).unwrap();
        });
        for cut in [100, 700, 1600] {
            assert!(entries(&mut Memory(&bytes[..cut])).is_err(), "{cut}");
        }
        assert_eq!(entries(&mut Memory(&bytes[..512 + 1024])).unwrap().len(), 1);
    }

    proptest! {
        #[test]
        fn damaged_archives_are_refused_or_read_but_never_panic(at in 0usize..4096, byte: u8) {
            let mut bytes = archive(|tar| {
                tar.append_pax_extensions([("mtime", b"1.5".as_slice())]).unwrap();
                tar.append_data(&mut header(tar::EntryType::Regular, 65), "n".repeat(150), &[1; 65][..]).unwrap();
                tar.append_link(&mut header(tar::EntryType::Symlink, 0), "l", "t").unwrap();
            });
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = entries(&mut Memory(&bytes));
        }
    }
}
