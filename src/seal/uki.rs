//! Builds the UKI: systemd's stub, os-release, version, command line, initrd, kernel.

use cfs_init::policy::{InitrdFile, Policy};

use super::modules::Module;
use super::{initrd, Error, Result};
use crate::boot::uki::{sha256, uki_id, Inputs};
use crate::boot::{init_program, pe::Pe};
use crate::model::Digest;
use crate::trust::policy_file::LoadedPolicy;

/// The command line of every UKI (security rule 3). `ostree=latest` tells tools that ask that the root is an image's.
pub const CMDLINE: &str =
    "ostree=latest systemd.import_credentials=no systemd.gpt_auto=0 noresume rd.emergency=reboot panic=10";

/// What a UKI is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// systemd's stub.
    pub stub: &'a [u8],
    /// os-release of the image.
    pub osrel: &'a [u8],
    /// The kernel's version.
    pub version: &'a str,
    /// The kernel.
    pub kernel: &'a [u8],
    /// cfs-init, as built.
    pub init: &'a [u8],
    /// In the order of loading.
    pub modules: &'a [Module],
    /// Arguments after [`CMDLINE`].
    pub arguments: &'a [String],
    /// To be completed and filled in.
    pub policy: &'a LoadedPolicy,
}

/// A UKI that is not signed yet.
#[derive(Clone, Debug)]
pub struct Built {
    /// The PE file.
    pub bytes: Vec<u8>,
    /// The policy inside, with the uki-id.
    pub policy: Policy,
}

/// Builds it; equal parts give equal bytes.
pub fn build(parts: &Parts<'_>) -> Result<Built> {
    let cmdline = [&[CMDLINE.to_owned()], parts.arguments].concat().join(" ");
    let files = parts.modules.iter().map(|module| InitrdFile {
        path: module.path.clone(),
        sha256: sha256(&module.bytes),
        module: true,
    });
    let mut policy = parts.policy.complete(Digest::new([0; Digest::LEN]), &cmdline, files.collect());
    let inputs =
        Inputs { cmdline: &cmdline, init: parts.init, kernel: parts.kernel, policy: &policy, osrel: parts.osrel };
    policy.uki_id = uki_id(&inputs)?;
    let init = init_program::fill(parts.init, &policy.to_json()?)?;
    let archive = initrd::build(&init, parts.modules);
    let stub = Pe::parse(parts.stub).map_err(|error| Error::Efi("systemd's stub".into(), error))?;
    let kernel = Pe::parse(parts.kernel)
        .map_err(|error| Error::Efi(format!("the kernel {}, which must have an EFI stub", parts.version), error))?;
    same_machine(&stub, &kernel, parts)?;
    let both = stub.nx_compatible().and_then(|stub| Ok(stub && kernel.nx_compatible()?));
    let sections: [(&str, &[u8]); 5] = [
        (".osrel", parts.osrel),
        (".uname", parts.version.as_bytes()),
        (".cmdline", cmdline.as_bytes()),
        (".initrd", &archive),
        (".linux", parts.kernel),
    ];
    let bytes = both.and_then(|nx| stub.append(&sections, nx)).map_err(|error| Error::Efi("the UKI".into(), error))?;
    Ok(Built { bytes, policy })
}

/// A UKI of parts for different machines would be refused by the firmware, or die in the kernel.
fn same_machine(stub: &Pe<'_>, kernel: &Pe<'_>, parts: &Parts<'_>) -> Result<()> {
    let machine = |pe: &Pe<'_>, name: &str| pe.machine().map_err(|error| Error::Efi(name.to_owned(), error));
    let stub = machine(stub, "systemd's stub")?;
    let others =
        [("the kernel", Some(machine(kernel, "the kernel")?)), ("cfs-init", init_program::pe_machine(parts.init)?)];
    match others.iter().find(|(_, machine)| *machine != Some(stub)) {
        Some((name, _)) => Err(Error::Kernel(format!(
            "{name} is for another machine than systemd's stub (PE machine {stub:#x}): give the cfs-init of the image's architecture"
        ))),
        None => Ok(()),
    }
}

/// One argument is one word: spaces or quotes would make several of it, or hide some.
pub fn check_argument(argument: &str) -> std::result::Result<(), &'static str> {
    if argument.is_empty() || argument.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"' || c == '\'') {
        return Err("a kernel argument is one word without quotes; repeat --karg for several");
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::boot::uki::{embedded_policy, Uki};
    use crate::boot::{init_program::tests::tiny_program, pe::tests::tiny};
    use crate::trust::keys::tests::generated;

    pub(crate) fn built(policy: &LoadedPolicy, arguments: &[String]) -> Built {
        let modules = [Module { path: "/modules/00-erofs.ko".into(), bytes: b"\x7fELF".to_vec() }];
        let parts = Parts {
            stub: &tiny(),
            osrel: b"ID=example\n",
            version: "6.1",
            kernel: &tiny(),
            init: &tiny_program(),
            modules: &modules,
            arguments,
            policy,
        };
        build(&parts).unwrap()
    }

    #[test]
    fn a_uki_is_what_its_policy_says_and_any_change_is_noticed() {
        let (_temporary, dir) = generated();
        let policy = LoadedPolicy::load(&dir.policy()).unwrap();
        let uki = built(&policy, &["quiet".into()]);
        assert_eq!(embedded_policy(&uki.bytes).unwrap(), uki.policy);
        assert!(uki.policy.cmdline.ends_with("panic=10 quiet"));
        let parsed = Uki::parse(&uki.bytes).unwrap();
        let places = [parsed.osrel, parsed.cmdline, parsed.kernel]
            .map(|section| section.as_ptr() as usize - uki.bytes.as_ptr() as usize);
        let entries = crate::boot::cpio::read(parsed.initrd).unwrap();
        let module = entries.iter().find(|entry| entry.path.ends_with(".ko")).unwrap();
        let module = module.data.as_ptr() as usize - uki.bytes.as_ptr() as usize;
        for at in places.into_iter().chain([module]) {
            let mut bad = uki.bytes.clone();
            bad[at] ^= 1;
            assert!(embedded_policy(&bad).is_err(), "byte {at:#x}");
        }
    }

    #[test]
    fn arguments_are_single_words() {
        for (argument, good) in [
            ("quiet", true),
            ("console=ttyS0,115200", true),
            ("", false),
            ("a b", false),
            ("a=\"b", false),
            ("a\n", false),
        ] {
            assert_eq!(check_argument(argument).is_ok(), good, "{argument:?}");
        }
    }

    #[test]
    fn the_identity_depends_on_every_input_and_on_nothing_else() {
        let (_temporary, dir) = generated();
        let policy = LoadedPolicy::load(&dir.policy()).unwrap();
        let (one, same) = (built(&policy, &[]), built(&policy, &[]));
        assert!(one.bytes == same.bytes, "equal inputs give equal bytes");
        assert_ne!(built(&policy, &["quiet".into()]).policy.uki_id, one.policy.uki_id);
        let mut other = policy.clone();
        other.file.security_version += 1;
        assert_ne!(built(&other, &[]).policy.uki_id, one.policy.uki_id);
    }
}
