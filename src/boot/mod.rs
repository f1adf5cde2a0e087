//! What firmware and loader read: ESP, entries, UKIs, EFI variables.

pub mod efivar;
pub mod entry;
pub mod esp;
