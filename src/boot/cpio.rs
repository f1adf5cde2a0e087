//! The newc cpio archive that an initrd is: a strict reader, and the layout that the writer shares with it.

/// The format's magic.
pub const MAGIC: &[u8; 6] = b"070701";
/// The size of an entry's header.
pub const HEADER: usize = 110;
/// The name of the last entry.
pub const TRAILER: &str = "TRAILER!!!";
const S_IFMT: u32 = 0o170000;
const S_IFDIR: u32 = 0o040000;
const S_IFREG: u32 = 0o100000;

/// A file or directory of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// As written: relative, without a leading slash.
    pub path: &'a str,
    /// Type and permissions.
    pub mode: u32,
    /// Empty for a directory.
    pub data: &'a [u8],
}

impl Entry<'_> {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the initrd is not a plain newc archive: {0}")]
pub struct BadCpio(pub &'static str);

/// Reads an archive of files and directories, each named once, with nothing after the trailer but zeros.
pub fn read(archive: &[u8]) -> Result<Vec<Entry<'_>>, BadCpio> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    loop {
        let header = archive.get(at..at + HEADER).ok_or(BadCpio("it is cut off"))?;
        if &header[..6] != MAGIC {
            return Err(BadCpio("an entry has another format"));
        }
        let (mode, size, name_size) = (field(header, 1)?, field(header, 6)? as usize, field(header, 11)? as usize);
        let name_end = at + HEADER + name_size;
        let name = archive.get(at + HEADER..name_end).ok_or(BadCpio("it is cut off"))?;
        let name = name.strip_suffix(b"\0").ok_or(BadCpio("a name is not ended"))?;
        let path = std::str::from_utf8(name).map_err(|_| BadCpio("a name is not UTF-8"))?;
        let start = name_end.next_multiple_of(4);
        let data = archive.get(start..start + size).ok_or(BadCpio("it is cut off"))?;
        if path == TRAILER {
            let rest = archive.get(start + size..).unwrap_or_default();
            return if rest.iter().all(|&byte| byte == 0) { Ok(entries) } else { Err(BadCpio("something follows it")) };
        }
        if path.contains('\0') || !matches!(mode & S_IFMT, S_IFDIR | S_IFREG) {
            return Err(BadCpio("it holds something other than files and directories"));
        }
        if entries.iter().any(|entry| entry.path == path) {
            return Err(BadCpio("it names a file twice"));
        }
        entries.push(Entry { path, mode, data });
        at = (start + size).next_multiple_of(4);
    }
}

/// The `index`-th number of a header: 8 hex digits.
fn field(header: &[u8], index: usize) -> Result<u32, BadCpio> {
    let digits = &header[6 + index * 8..14 + index * 8];
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    text.and_then(|text| u32::from_str_radix(text, 16).ok()).ok_or(BadCpio("a number is not hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_numbers_are_read_or_refused(numbers: [u32; 13], rest: Vec<u8>) {
            let mut bytes = MAGIC.to_vec();
            for number in numbers {
                bytes.extend_from_slice(format!("{number:08x}").as_bytes());
            }
            bytes.extend_from_slice(&rest);
            let _ = read(&bytes);
        }
    }
}
