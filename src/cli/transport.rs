//! Arguments of every verb that reads an image.

use std::path::PathBuf;
use std::time::Duration;

use crate::fetch::{Options, Patience};
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
    /// How often a registry that fails for a moment is asked again, at each place where it fails
    #[arg(long, value_name = "N", default_value_t = Patience::default().retries)]
    retry: u32,
    /// The pause before each of them, such as 500ms, 5s or 1m; without it 1s, 2s, 4s and so on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    retry_delay: Option<Duration>,
    /// Read more of an image (or less) than usual: entries, names, header, size or ratio; docs/layers.md explains them
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<Raised>,
}

impl From<Transport> for Options {
    fn from(args: Transport) -> Self {
        let patience = Patience { retries: args.retry, delay: args.retry_delay, ..Patience::default() };
        Self {
            authfile: args.authfile,
            insecure_transport: args.insecure_transport,
            architecture: args.arch,
            patience,
            limits: args.limits.into_iter().fold(Limits::default(), Limits::with),
        }
    }
}

/// A number and its unit, as podman writes times; a number alone is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..split].parse::<u32>().map(u64::from);
    match (number, &text[split..]) {
        (Ok(number), "ms") => Ok(Duration::from_millis(number)),
        (Ok(number), "" | "s") => Ok(Duration::from_secs(number)),
        (Ok(number), "m") => Ok(Duration::from_secs(number * 60)),
        _ => Err("write a number with ms, s or m".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, milliseconds) in [("500ms", 500), ("5s", 5000), ("5", 5000), ("1m", 60_000), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for bad in ["", "s", "-1s", "1h", "99999999999s", "1 s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
