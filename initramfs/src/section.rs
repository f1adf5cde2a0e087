//! The section of the `/init` binary that holds the policy (security rule 1).
//!
//! The program is built once, with the section empty; `cfs-host seal` fills it in a copy. So policy,
//! certificates and module list are covered by the UKI's signature and lie in no file of the initrd.
//! Layout: 16 bytes magic, `u32` little-endian length, that many bytes of JSON, zeros to 64 KiB.

#![allow(unsafe_code)] // `link_section` and nothing else

/// The section's name in the ELF file.
pub const NAME: &str = ".cfs_policy";
/// The section's whole size.
pub const SIZE: usize = 64 * 1024;
/// The section's first bytes.
pub const MAGIC: &[u8; 16] = b"CFS-POLICY v1\0\0\0";
const HEADER: usize = MAGIC.len() + 4;

#[used]
#[link_section = ".cfs_policy"]
static SECTION: [u8; SIZE] = {
    let mut bytes = [0u8; SIZE];
    let mut at = 0;
    while at < MAGIC.len() {
        bytes[at] = MAGIC[at];
        at += 1;
    }
    bytes
};

/// The section of the running program.
pub fn own() -> &'static [u8] {
    // The compiler must not assume the zeros that it was given: `seal` replaces them.
    std::hint::black_box(&SECTION)
}

/// The JSON in a section; `None` if it is none of ours, empty, or damaged.
pub fn policy_json(section: &[u8]) -> Option<&[u8]> {
    let (header, rest) = section.split_at_checked(HEADER)?;
    let (magic, length) = header.split_at(MAGIC.len());
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    if magic != MAGIC || length == 0 || section.len() != SIZE {
        return None;
    }
    let (json, padding) = rest.split_at_checked(length)?;
    padding.iter().all(|&byte| byte == 0).then_some(json)
}

/// A section with this JSON; `None` if it does not fit.
pub fn filled(json: &[u8]) -> Option<Vec<u8>> {
    if json.is_empty() || json.len() > SIZE - HEADER {
        return None;
    }
    let mut section = Vec::with_capacity(SIZE);
    section.extend_from_slice(MAGIC);
    section.extend_from_slice(&(json.len() as u32).to_le_bytes());
    section.extend_from_slice(json);
    section.resize(SIZE, 0);
    Some(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsealed_program_has_no_policy() {
        assert_eq!(own().len(), SIZE);
        assert_eq!(&own()[..16], MAGIC);
        assert_eq!(policy_json(own()), None);
    }

    #[test]
    fn a_filled_section_gives_its_json_back() {
        assert_eq!(policy_json(&filled(b"{}").unwrap()), Some(&b"{}"[..]));
        let most = vec![b'x'; SIZE - HEADER];
        assert_eq!(policy_json(&filled(&most).unwrap()), Some(&most[..]));
        assert!(filled(&vec![b'x'; SIZE - HEADER + 1]).is_none());
        assert!(filled(b"").is_none());
    }

    #[test]
    fn damage_is_refused() {
        let good = filled(b"{}").unwrap();
        for (at, value) in [(0, b'X'), (15, 1), (19, 1), (SIZE - 1, 1)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(policy_json(&bad), None, "byte {at}");
        }
        assert_eq!(policy_json(&good[..SIZE - 1]), None);
        assert_eq!(policy_json(b""), None);
    }
}
