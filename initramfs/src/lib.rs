//! The trusted code of cfs-host: everything that decides what boots.
//!
//! `/init` (`main.rs`) is this library's steps in order; the command line tool links the same library,
//! so it refuses to stage what the initrd would refuse to boot, with the same code.

pub mod certificate;
pub mod claims;
pub mod cmdline;
pub mod console;
pub mod deployment;
pub mod devices;
pub mod digest;
pub mod disk;
pub mod efivars;
pub mod fallback;
pub mod files;
pub mod halt;
pub mod handover;
pub mod loader;
pub mod modules;
pub mod mount;
pub mod names;
pub mod objects;
pub mod pass;
pub mod policy;
pub mod profile;
pub mod record;
pub mod refusal;
pub mod rootfs;
pub mod section;
pub mod signature;
pub mod syscalls;
pub mod verity;
