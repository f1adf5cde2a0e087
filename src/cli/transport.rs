//! Arguments of every verb that reads an image.

use std::path::PathBuf;

use crate::fetch::Options;
use crate::model::limits::{Limits, Raised};

#[derive(Debug, clap::Args)]
pub(super) struct Transport {
    /// Credentials for the registry, as podman's --authfile
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Talk plain HTTP, or accept any certificate of the registry: the image's signature is checked all the same
    #[arg(long)]
    insecure_transport: bool,
    /// Which image of a list of several architectures: amd64 or arm64
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<Raised>,
}

impl From<Transport> for Options {
    fn from(args: Transport) -> Self {
        Self {
            authfile: args.authfile,
            insecure_transport: args.insecure_transport,
            architecture: args.arch,
            limits: args.limits.into_iter().fold(Limits::default(), Limits::with),
        }
    }
}
