//! Errors as people and scripts meet them: six classes, each with an exit code and a next step.
//!
//! Folders keep their own small errors; context is added on the way up; here the chain becomes three lines.

use std::error::Error as StdError;
use std::fmt;

/// What kind of error it is. The numbers are exit codes and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The command line.
    Usage = 2,
    /// This machine, its files, or the image that should be sealed.
    Config = 3,
    /// A registry or the way to it.
    Network = 4,
    /// Signature, policy or identity.
    Trust = 5,
    /// Bytes that are not what they were.
    Damage = 6,
    /// Ours.
    Bug = 70,
}

impl Class {
    /// What a person does next, when the error itself does not say more.
    fn next_step(self) -> &'static str {
        match self {
            Class::Usage => "see --help",
            Class::Config => "correct what the lines above name, then run the command again",
            Class::Network => "check name, network and credentials (--authfile), then run the command again",
            Class::Trust => {
                "do not use this image before you know why; `cfs-host image inspect` shows all of the chain"
            }
            Class::Damage => "fetch or build the image again; if it stays so, check disk and memory",
            Class::Bug => "please report it, with the command and these lines",
        }
    }
}

/// An error ready to be shown.
#[derive(Debug)]
pub struct Fault {
    class: Class,
    what: String,
    why: Vec<String>,
}

impl Fault {
    /// Its class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.class as u8
    }
}

impl From<anyhow::Error> for Fault {
    fn from(error: anyhow::Error) -> Self {
        let mut messages: Vec<String> = Vec::new();
        for cause in error.chain() {
            let message = cause.to_string();
            // Many errors quote their cause already.
            if messages.iter().all(|known| !known.contains(&message)) {
                messages.push(message);
            }
        }
        // A registry that fails in the middle of a layer is the registry's failure, whoever read the layer.
        let network = error.chain().any(is_network).then_some(Class::Network);
        let class = network.or_else(|| error.chain().find_map(classify)).unwrap_or(Class::Bug);
        let what = if messages.is_empty() { String::new() } else { messages.remove(0) };
        Self { class, what, why: messages }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}", self.what)?;
        for why in &self.why {
            writeln!(f, "  why: {why}")?;
        }
        write!(f, "  do: {}", self.class.next_step())
    }
}

fn is_network(cause: &(dyn StdError + 'static)) -> bool {
    use crate::fetch::Error::Registry;
    // An I/O error hides what it wraps from the chain.
    let inside = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let inside = inside.and_then(|inside| inside.downcast_ref::<crate::fetch::Error>());
    matches!(inside.or_else(|| cause.downcast_ref()), Some(Registry { .. }))
}

/// The class of one cause; `None` leaves the decision to the next one.
fn classify(cause: &(dyn StdError + 'static)) -> Option<Class> {
    use crate::{boot, deploy, etc, fetch, flow, image, import, install, model, seal, share, store, sys, trust};
    macro_rules! classes {
        ($($type:path $(, $pattern:pat)? => $class:expr;)*) => {
            $(if let Some(error) = cause.downcast_ref::<$type>() {
                if matches!(error, _ $(if matches!(error, $pattern))?) {
                    return Some($class);
                }
            })*
        };
    }
    // Variants first, then the rest of the type.
    classes! {
        model::reference::BadReference => Class::Usage;
        BadUsage => Class::Usage;
        flow::report::Untrusted => Class::Trust;
        cfs_init::refusal::Refusal => Class::Trust;
        boot::authenticode::Error => Class::Trust;
        deploy::Error, deploy::Error::Content { .. } => Class::Damage;
        deploy::Error => Class::Config;
        seal::Error, seal::Error::Malformed(..) => Class::Damage;
        seal::Error => Class::Config;
        flow::workshop::Push => Class::Network;
        fetch::Error, fetch::Error::Registry { .. } => Class::Network;
        fetch::Error, fetch::Error::Invalid { .. } => Class::Damage;
        fetch::Error => Class::Config;
        fetch::BadStores => Class::Config;
        share::Error, share::Error::Sys(_) | share::Error::Store(store::Error::Sys(_) | store::Error::InUse { .. }) => Class::Config;
        share::Error, share::Error::Read { .. } | share::Error::Lasting { .. } | share::Error::OtherStore { .. } => Class::Config;
        share::Error => Class::Damage;
        store::Error, store::Error::Sys(_) | store::Error::InUse { .. } => Class::Config;
        store::Error => Class::Damage;
        import::Error, import::Error { fault: import::Fault::Write(_) | import::Fault::Store(_) | import::Fault::Limit(..), .. } => Class::Config;
        import::Error => Class::Damage;
        image::Error, image::Error::MissingDirectory { .. } => Class::Config;
        image::Error => Class::Damage;
        boot::uki::BadUki => Class::Damage;
        boot::running_esp::Error, boot::running_esp::Error::ReadBack(_) => Class::Damage;
        boot::running_esp::Error => Class::Config;
        etc::Error, etc::Error::Image(deploy::Error::Content { .. }) => Class::Damage;
        etc::Error => Class::Config;
        flow::host::NotAHost => Class::Config;
        flow::Refused => Class::Config;
        flow::import::NotStored => Class::Damage;
        flow::images::NoRoom => Class::Config;
        flow::images::NotThere => Class::Config;
        flow::fsck::Unclean => Class::Damage;
        boot::pe::BadPe => Class::Damage;
        trust::Error => Class::Config;
        install::Error => Class::Config;
        boot::init_program::BadInit => Class::Config;
        flow::sign::OtherLayers => Class::Config;
        sys::Error => Class::Config;
        std::io::Error => Class::Config;
    }
    None
}

/// Arguments that clap takes and we do not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUsage(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;
    use std::path::PathBuf;

    fn fault(error: impl Into<anyhow::Error>) -> Fault {
        Fault::from(error.into())
    }

    #[test]
    fn every_class_has_its_exit_code() {
        let sys = || crate::sys::Error::Io {
            operation: "create",
            path: PathBuf::from("x"),
            source: std::io::Error::from_raw_os_error(28),
        };
        for (fault, code) in [
            (fault("dir:/x".parse::<crate::model::reference::Reference>().unwrap_err()), 2),
            (fault(BadUsage("x".into())), 2),
            (fault(crate::trust::Error::Exists(PathBuf::from("x"))), 3),
            (fault(crate::seal::Error::Kernel("x".into())), 3),
            (fault(crate::store::Error::Sys(sys())), 3),
            (fault(crate::flow::workshop::Push { destination: "x".into(), source: sys() }), 4),
            (fault(cfs_init::refusal::Refusal::new(13, "x")), 5),
            (fault(crate::boot::authenticode::Error::NotSigned), 5),
            (fault(crate::seal::Error::Malformed("x".into(), "y".into())), 6),
            (fault(anyhow::anyhow!("x")), 70),
        ] {
            assert_eq!(fault.exit_code(), code, "{fault}");
        }
    }

    #[test]
    fn an_error_is_what_why_and_do_and_never_says_a_thing_twice() {
        let refusal = cfs_init::refusal::Refusal::new(13, "signed by an unknown key");
        let error = Err::<(), _>(refusal).context("cannot seal oci:x").unwrap_err();
        let text = Fault::from(error).to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..2], ["error: cannot seal oci:x", "  why: rule 13: signed by an unknown key"]);
        assert!(lines.len() == 3 && lines[2].starts_with("  do: "), "{text}");
    }
}
