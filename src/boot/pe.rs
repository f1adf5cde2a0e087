//! PE files as firmware and systemd's stub read them: list sections, append sections.
//!
//! One reader for sections and for the Authenticode digest, so the two cannot disagree. Bounded: every range is
//! checked against the file. Reference: Microsoft's "PE Format", PE32+ only.

use std::ops::Range;

use authenticode::{PeOffsetError, PeOffsets, PeTrait};

const DIRECTORIES: usize = 112;
/// Where the directory of the attribute certificate table lies in the optional header.
const SECURITY_DIRECTORY: usize = DIRECTORIES + 4 * 8;
const SECTION_HEADER: usize = 40;
const NX_COMPAT: u16 = 0x0100;
const CODE_READ: u32 = 0x4000_0020;
const DATA_READ: u32 = 0x4000_0040;

/// Why a file is not a PE file that we can use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPe {
    /// Not PE32+, or cut off.
    #[error("not a 64-bit PE file: {0}")]
    Format(&'static str),
    /// Two sections have one name: readers would disagree about which one counts.
    #[error("it has two sections {0}")]
    Twice(String),
    /// No room for another section header.
    #[error("its header has no room for the section {0}")]
    NoRoom(String),
    /// It would be larger than PE's 32-bit fields can say.
    #[error("it would be larger than 4 GiB")]
    TooLarge,
    /// Something would be appended after a signature.
    #[error("it is signed already")]
    Signed,
}

/// A section's name and its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Without padding zeros.
    pub name: String,
    /// The bytes in the file that count: the shorter of virtual and raw size.
    pub range: Range<usize>,
    raw: Range<usize>,
    end_in_memory: u32,
}

/// A parsed PE file.
#[derive(Clone, Debug)]
pub struct Pe<'a> {
    bytes: &'a [u8],
    optional: usize,
    section_table: usize,
    sections: Vec<Section>,
}

impl<'a> Pe<'a> {
    /// Parses untrusted bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BadPe> {
        if bytes.get(..2) != Some(b"MZ") {
            return Err(BadPe::Format("no MZ header"));
        }
        let header = u32_at(bytes, 0x3c)? as usize;
        if bytes.get(header..header.saturating_add(4)) != Some(b"PE\0\0") {
            return Err(BadPe::Format("no PE header"));
        }
        let optional = header + 24;
        if u16_at(bytes, optional)? != 0x20b {
            return Err(BadPe::Format("not PE32+"));
        }
        if (u32_at(bytes, optional + 108)? as usize) < 5 {
            return Err(BadPe::Format("no room for a signature in its data directories"));
        }
        let section_table = optional + usize::from(u16_at(bytes, header + 20)?);
        let count = usize::from(u16_at(bytes, header + 6)?);
        let sections =
            (0..count).map(|i| section(bytes, section_table + i * SECTION_HEADER)).collect::<Result<_, _>>()?;
        Ok(Self { bytes, optional, section_table, sections })
    }

    /// `IMAGE_FILE_MACHINE_*`.
    pub fn machine(&self) -> Result<u16, BadPe> {
        u16_at(self.bytes, self.optional - 20)
    }

    /// In the order of the header.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// A section's bytes; `None` if there is none of this name.
    pub fn contents(&self, name: &str) -> Result<Option<&'a [u8]>, BadPe> {
        let mut found = self.sections.iter().filter(|section| section.name == name);
        let first = found.next();
        if found.next().is_some() {
            return Err(BadPe::Twice(name.to_owned()));
        }
        Ok(first.and_then(|section| self.bytes.get(section.range.clone())))
    }

    /// Where the attribute certificate table lies; `None` for an unsigned file.
    pub fn signature(&self) -> Result<Option<Range<usize>>, BadPe> {
        let start = u32_at(self.bytes, self.optional + SECURITY_DIRECTORY)? as usize;
        let length = u32_at(self.bytes, self.optional + SECURITY_DIRECTORY + 4)? as usize;
        match (start, length) {
            (0, 0) => Ok(None),
            _ if start + length > self.bytes.len() => Err(BadPe::Format("its signature is cut off")),
            _ => Ok(Some(start..start + length)),
        }
    }

    /// The file without its signature, its length a multiple of 8, the checksum 0: what a new signature covers.
    pub fn unsigned(&self) -> Result<Vec<u8>, BadPe> {
        let end = match self.signature()? {
            Some(range) if range.end != self.bytes.len() => {
                return Err(BadPe::Format("its signature is not at its end"));
            }
            Some(range) => range.start,
            None => self.bytes.len(),
        };
        let mut bytes = self.bytes[..end].to_vec();
        bytes.resize(end.next_multiple_of(8), 0);
        self.put_signature_directory(&mut bytes, 0, 0);
        bytes[self.optional + 64..self.optional + 68].fill(0);
        Ok(bytes)
    }

    /// Appends an attribute certificate table to the bytes that [`Pe::unsigned`] gave.
    pub fn with_signature(&self, mut unsigned: Vec<u8>, table: &[u8]) -> Result<Vec<u8>, BadPe> {
        let start = u32::try_from(unsigned.len()).map_err(|_| BadPe::TooLarge)?;
        let length = u32::try_from(table.len()).map_err(|_| BadPe::TooLarge)?;
        self.put_signature_directory(&mut unsigned, start, length);
        unsigned.extend_from_slice(table);
        Ok(unsigned)
    }

    fn put_signature_directory(&self, bytes: &mut [u8], start: u32, length: u32) {
        let at = self.optional + SECURITY_DIRECTORY;
        put_u32(bytes, at, start);
        put_u32(bytes, at + 4, length);
    }

    /// Whether the program promises not to need memory that is both writable and executable.
    pub fn nx_compatible(&self) -> Result<bool, BadPe> {
        Ok(u16_at(self.bytes, self.optional + 70)? & NX_COMPAT != 0)
    }

    /// The file with sections appended, as systemd's ukify lays them out: file data aligned to FileAlignment, memory
    /// to SectionAlignment, in the order given. `.linux` is marked as code: old kernels are started in place.
    /// `nx` false takes the promise of [`Pe::nx_compatible`] back, when the kernel inside does not make it.
    pub fn append(&self, sections: &[(&str, &[u8])], nx: bool) -> Result<Vec<u8>, BadPe> {
        if self.signature()?.is_some() {
            return Err(BadPe::Signed);
        }
        let memory_alignment = alignment(u32_at(self.bytes, self.optional + 32)?)?;
        let file_alignment = alignment(u32_at(self.bytes, self.optional + 36)?)?;
        let size_of_headers = up(u32_at(self.bytes, self.optional + 60)?, file_alignment)?;
        let mut out = self.bytes.to_vec();
        put_u32(&mut out, self.optional + 60, size_of_headers);
        let mut address = self.sections.iter().map(|section| section.end_in_memory).max().unwrap_or(0);
        for (index, (name, content)) in sections.iter().enumerate() {
            if self.contents(name)?.is_some() {
                return Err(BadPe::Twice((*name).to_owned()));
            }
            let header = self.section_table + (self.sections.len() + index) * SECTION_HEADER;
            let room_ends = size_of_headers as usize;
            if header + SECTION_HEADER > room_ends || self.first_data() < header + SECTION_HEADER || name.len() > 8 {
                return Err(BadPe::NoRoom((*name).to_owned()));
            }
            let length = u32::try_from(content.len()).map_err(|_| BadPe::TooLarge)?;
            address = up(address, memory_alignment)?;
            let offset = up(u32::try_from(out.len()).map_err(|_| BadPe::TooLarge)?, file_alignment)?;
            let raw_length = up(length, file_alignment)?;
            out.resize(offset as usize, 0);
            out.extend_from_slice(content);
            out.resize(offset as usize + raw_length as usize, 0);
            let flags = if *name == ".linux" { CODE_READ } else { DATA_READ };
            out[header..header + SECTION_HEADER].fill(0);
            out[header..header + name.len()].copy_from_slice(name.as_bytes());
            for (at, value) in [(8, length), (12, address), (16, raw_length), (20, offset), (36, flags)] {
                put_u32(&mut out, header + at, value);
            }
            address = address.checked_add(length).ok_or(BadPe::TooLarge)?;
        }
        let count = u16::try_from(self.sections.len() + sections.len()).map_err(|_| BadPe::TooLarge)?;
        out[self.optional - 18..self.optional - 16].copy_from_slice(&count.to_le_bytes());
        put_u32(&mut out, self.optional + 56, up(address, memory_alignment)?);
        put_u32(&mut out, self.optional + 64, 0);
        if !nx {
            let flags = u16_at(&out, self.optional + 70)? & !NX_COMPAT;
            out[self.optional + 70..self.optional + 72].copy_from_slice(&flags.to_le_bytes());
        }
        Ok(out)
    }

    /// Where the first section's data begins: headers end there.
    fn first_data(&self) -> usize {
        let starts = self.sections.iter().filter(|section| !section.raw.is_empty()).map(|section| section.raw.start);
        starts.min().unwrap_or(self.bytes.len())
    }
}

impl PeTrait for Pe<'_> {
    fn data(&self) -> &[u8] {
        self.bytes
    }

    fn num_sections(&self) -> usize {
        self.sections.len()
    }

    fn section_data_range(&self, index: usize) -> Result<Range<usize>, PeOffsetError> {
        let section = index.checked_sub(1).and_then(|index| self.sections.get(index));
        section.map(|section| section.raw.clone()).ok_or(PeOffsetError)
    }

    fn certificate_table_range(&self) -> Result<Option<Range<usize>>, PeOffsetError> {
        self.signature().map_err(|_| PeOffsetError)
    }

    fn offsets(&self) -> Result<PeOffsets, PeOffsetError> {
        let security = self.optional + SECURITY_DIRECTORY;
        Ok(PeOffsets {
            check_sum: self.optional + 64,
            after_check_sum: self.optional + 68,
            security_data_dir: security,
            after_security_data_dir: security + 8,
            after_header: u32_at(self.bytes, self.optional + 60).map_err(|_| PeOffsetError)? as usize,
        })
    }
}

fn section(bytes: &[u8], at: usize) -> Result<Section, BadPe> {
    let name = bytes.get(at..at + 8).ok_or(BadPe::Format("its section headers are cut off"))?;
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let (virtual_size, address) = (u32_at(bytes, at + 8)?, u32_at(bytes, at + 12)?);
    let (raw_size, start) = (u32_at(bytes, at + 16)? as usize, u32_at(bytes, at + 20)? as usize);
    if raw_size != 0 && start + raw_size > bytes.len() {
        return Err(BadPe::Format("a section is cut off"));
    }
    Ok(Section {
        name: String::from_utf8_lossy(name).into_owned(),
        range: start..start + raw_size.min(virtual_size as usize),
        raw: start..start + raw_size,
        end_in_memory: address.checked_add(virtual_size).ok_or(BadPe::Format("a section wraps around"))?,
    })
}

fn alignment(value: u32) -> Result<u32, BadPe> {
    if value.is_power_of_two() {
        Ok(value)
    } else {
        Err(BadPe::Format("an alignment is not a power of two"))
    }
}

fn up(value: u32, alignment: u32) -> Result<u32, BadPe> {
    value.checked_next_multiple_of(alignment).ok_or(BadPe::TooLarge)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, BadPe> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map(|field| u16::from_le_bytes(*field)).ok_or(BadPe::Format("its headers are cut off"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, BadPe> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map(|field| u32::from_le_bytes(*field)).ok_or(BadPe::Format("its headers are cut off"))
}

/// Only at offsets that [`Pe::parse`] has read, so they exist.
fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    pub(crate) use crate::boot::programs::tiny_pe as tiny;
    use proptest::prelude::*;

    #[test]
    fn appended_sections_are_aligned_and_read_back() {
        let stub = tiny();
        let big = vec![7u8; 0x1801];
        let out = Pe::parse(&stub).unwrap().append(&[(".cmdline", b"quiet"), (".linux", &big)], true).unwrap();
        let pe = Pe::parse(&out).unwrap();
        assert_eq!(pe.contents(".cmdline").unwrap().unwrap(), b"quiet");
        assert_eq!(pe.contents(".linux").unwrap().unwrap(), big);
        assert_eq!(pe.contents(".initrd").unwrap(), None);
        assert!(pe.sections().iter().all(|section| section.raw.start % 0x200 == 0 && section.raw.len() % 0x200 == 0));
        assert_eq!(u32_at(&out, 0x58 + 56).unwrap(), 0x5000, "SizeOfImage covers all, aligned");
        assert_eq!(u32_at(&out, 0x58 + 64).unwrap(), 0, "the checksum is 0");
        assert!(pe.nx_compatible().unwrap());
        let without = Pe::parse(&stub).unwrap().append(&[], false).unwrap();
        assert!(!Pe::parse(&without).unwrap().nx_compatible().unwrap());
    }

    #[test]
    fn a_second_section_of_one_name_is_refused() {
        let stub = tiny();
        let pe = Pe::parse(&stub).unwrap();
        assert_eq!(pe.append(&[(".text", b"x")], true).unwrap_err(), BadPe::Twice(".text".into()));
        let twice = pe.append(&[(".a", b"x"), (".a", b"y")], true).unwrap();
        assert_eq!(Pe::parse(&twice).unwrap().contents(".a").unwrap_err(), BadPe::Twice(".a".into()));
    }

    #[test]
    fn a_full_header_is_refused() {
        let names: Vec<String> = (0..17).map(|i| format!(".s{i}")).collect();
        let sections: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        let stub = tiny();
        assert!(matches!(Pe::parse(&stub).unwrap().append(&sections, true), Err(BadPe::NoRoom(_))));
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_or_read() {
        let stub = tiny();
        for length in 0..stub.len() {
            assert!(Pe::parse(&stub[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn damaged_headers_never_panic(at in 0usize..0x200, value: u32) {
            let mut bytes = tiny();
            put_u32(&mut bytes, at, value);
            if let Ok(pe) = Pe::parse(&bytes) {
                let _ = pe.contents(".text");
                let _ = pe.append(&[(".x", b"y")], false);
                let _ = pe.unsigned();
                let mut sink = sha2::Sha256::default();
                let _ = authenticode::authenticode_digest(&pe, &mut sink);
            }
        }
    }
}
