//! The test harness: virtual machines under enforced Secure Boot, driven from Rust and from `ci/demo`.
//!
//! - [`machine`] describes a machine, [`run`] starts it and watches it, [`verdict`] says how a boot ended,
//!   [`agent`] talks to the program that the test images carry (`tests/vm/agent`).
//! - [`firmware`] makes and reads the firmware's variables; [`disk`] looks at and damages disk images.
//! - [`cache`] keeps what is costly to build, outside the clone; [`slot`] keeps the number of machines that run
//!   side by side to what the host can carry; [`command`] runs other programs.
//! - [`handmade`] makes a bootable disk without `cfs-host`: the harness is tested with it.
//! - [`script`] takes one machine through several boots, a line a step: the demo.
//! - [`registry`] serves images to guests; [`writelog`] makes the disk that a power cut leaves behind, with [`random`] chance.
//! - [`bench`] makes hosts with `cfs-host`, [`scenarios`] attacks them, [`roads`] sends them through updates, [`sharing`]
//!   lets them share images with podman; [`case`] is what these have in common, [`powered`] a machine through several boots,
//!   [`inside`] what all ask a machine that runs.
//!
//! Evidence comes from inside the machine: a boot counts when the agent answers a nonce, never because time passed.

pub mod agent;
pub mod bench;
pub mod cache;
pub mod case;
pub mod command;
pub mod disk;
pub mod firmware;
pub mod handmade;
pub mod inside;
pub mod machine;
pub mod powered;
pub mod random;
pub mod registry;
pub mod roads;
pub mod run;
pub mod scenarios;
pub mod script;
pub mod sharing;
pub mod slot;
pub mod verdict;
pub mod writelog;
