//! What firmware and loader read: ESP, entries, UKIs, EFI variables.

pub mod authenticode;
pub mod cpio;
pub mod efivar;
pub mod entry;
pub mod esp;
mod fat;
mod find_esp;
pub mod init_program;
pub mod one_shot;
pub mod order;
pub mod pe;
pub mod running_esp;
pub mod signature_db;
pub mod uki;

#[cfg(test)]
#[path = "../../tests/fixture/programs.rs"]
pub(crate) mod programs;
