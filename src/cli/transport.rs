//! Arguments of every verb that reads an image.

use std::path::PathBuf;

use crate::fetch::Options;

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
}

impl From<Transport> for Options {
    fn from(args: Transport) -> Self {
        Self { authfile: args.authfile, insecure_transport: args.insecure_transport, architecture: args.arch }
    }
}
