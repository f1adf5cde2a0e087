//! What firmware and loader read: ESP, entries, UKIs, EFI variables.
