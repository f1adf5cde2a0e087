//! The `/init` program as a file: where its policy section lies, and what it holds.

use cfs_init::section;
use object::{Object, ObjectSection};

/// Why a file is not an `/init` program.
#[derive(Debug, thiserror::Error)]
pub enum BadInit {
    /// Not an ELF file.
    #[error("not an ELF program: {0}")]
    Elf(#[from] object::Error),
    /// Some other program.
    #[error(
        "it has no section {} of {} bytes: it is not cfs-init, or of another version",
        section::NAME,
        section::SIZE
    )]
    NoSection,
    /// A sealed one where an unsealed one is wanted, or the other way round.
    #[error("its policy section is {0}")]
    Section(&'static str),
    /// More certificates or modules than the section can hold.
    #[error("the policy does not fit: {0} bytes of JSON, the section takes {max}", max = section::SIZE - 20)]
    TooLarge(usize),
}

/// The program with the policy in its section, which must be empty.
pub fn fill(program: &[u8], policy_json: &[u8]) -> Result<Vec<u8>, BadInit> {
    let range = section_range(program)?;
    if program[range.clone()] != empty()[..] {
        return Err(BadInit::Section("filled already: give the program as it was built"));
    }
    let filled = section::filled(policy_json).ok_or(BadInit::TooLarge(policy_json.len()))?;
    let mut out = program.to_vec();
    out[range].copy_from_slice(&filled);
    Ok(out)
}

/// The policy's JSON in a filled program.
pub fn policy_json(program: &[u8]) -> Result<&[u8], BadInit> {
    section::policy_json(&program[section_range(program)?]).ok_or(BadInit::Section("empty or damaged"))
}

/// The program as it was built: with the section empty.
pub fn unfilled(program: &[u8]) -> Result<Vec<u8>, BadInit> {
    let range = section_range(program)?;
    let mut out = program.to_vec();
    out[range].copy_from_slice(&empty());
    Ok(out)
}

/// The PE machine that the program runs on; `None` for one that we do not know.
pub fn pe_machine(program: &[u8]) -> Result<Option<u16>, BadInit> {
    Ok(match object::File::parse(program)?.architecture() {
        object::Architecture::X86_64 => Some(0x8664),
        object::Architecture::Aarch64 => Some(0xaa64),
        _ => None,
    })
}

/// Whether it needs no loader and no libraries: the initrd has none.
pub fn is_static(program: &[u8]) -> Result<bool, BadInit> {
    Ok(object::File::parse(program)?.section_by_name(".interp").is_none())
}

fn empty() -> Vec<u8> {
    let mut bytes = section::MAGIC.to_vec();
    bytes.resize(section::SIZE, 0);
    bytes
}

fn section_range(program: &[u8]) -> Result<std::ops::Range<usize>, BadInit> {
    let elf = object::File::parse(program)?;
    let mut sections = elf.sections().filter(|section| section.name() == Ok(section::NAME));
    let (start, size) = sections.next().and_then(|section| section.file_range()).ok_or(BadInit::NoSection)?;
    let end = start.saturating_add(size);
    if sections.next().is_some() || size != section::SIZE as u64 || end > program.len() as u64 {
        return Err(BadInit::NoSection);
    }
    Ok(start as usize..end as usize)
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use crate::boot::programs::tiny_program;

    use super::*;

    /// This test program itself links cfs-init, section and all.
    pub(crate) fn program() -> Vec<u8> {
        // `own` keeps the section from being dropped by the linker.
        assert_eq!(section::own().len(), section::SIZE);
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn the_tests_own_program_is_one() {
        assert_eq!(policy_json(&fill(&tiny_program(), b"{}").unwrap()).unwrap(), b"{}");
        assert_eq!(pe_machine(&tiny_program()).unwrap(), Some(0x8664));
        assert!(is_static(&tiny_program()).unwrap());
    }

    #[test]
    fn a_policy_goes_in_and_comes_out_and_the_rest_stays() {
        let program = program();
        let filled = fill(&program, b"{\"version\":1}").unwrap();
        assert_eq!(policy_json(&filled).unwrap(), b"{\"version\":1}");
        assert!(unfilled(&filled).unwrap() == program, "unfilled is the inverse of fill");
        assert!(matches!(fill(&filled, b"{}"), Err(BadInit::Section(_))), "a filled one is not filled again");
        assert!(matches!(policy_json(&program), Err(BadInit::Section(_))));
    }

    #[test]
    fn too_much_policy_and_other_programs_are_refused() {
        assert!(matches!(fill(&program(), &vec![b' '; section::SIZE]), Err(BadInit::TooLarge(_))));
        assert!(!is_static(&program()).unwrap(), "test programs are linked with libraries");
        let shell = std::fs::read("/bin/sh").unwrap();
        assert!(matches!(fill(&shell, b"{}"), Err(BadInit::NoSection)));
        assert!(matches!(fill(b"#!/bin/sh", b"{}"), Err(BadInit::Elf(_))));
    }
}
