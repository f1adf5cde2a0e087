//! `cfs-host switch`: follow another image.

use super::update::{UpdateArgs, Wish};
use crate::fault::BadUsage;
use crate::flow::stage::Request;
use crate::model::reference::Reference;

/// Follow another image: fetch it, verify it, and stage it for the next boot
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How the image is reached, if the reference does not say so itself
    #[arg(long, value_name = "TRANSPORT", value_parser = ["registry", "docker", "oci", "oci-archive", "containers-storage"])]
    transport: Option<String>,
    /// Pin the deployment that runs
    #[arg(long)]
    retain: bool,
    /// Accepted as bootc has it: here a signature is always enforced, by the policy of the UKI that runs
    #[arg(long, hide = true)]
    enforce_container_sigpolicy: bool,
    #[command(flatten)]
    update: UpdateArgs,
    /// The image: [docker://]HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE[:TAG] or containers-storage:NAME
    image: String,
}

/// Stages the image, which is the one that is followed from then on.
pub fn run(args: Args) -> anyhow::Result<()> {
    let image = reference(args.transport.as_deref(), &args.image)?;
    let request = Request { switch_to: Some(image), retain: args.retain, ..Request::default() };
    args.update.run(Wish { verb: "switch", request, check: false, from_downloaded: false })
}

/// A name of its own, or one that needs bootc's `--transport`.
fn reference(transport: Option<&str>, image: &str) -> anyhow::Result<Reference> {
    let text = match transport {
        None => image.to_owned(),
        Some("registry" | "docker") => format!("docker://{image}"),
        Some(other) => format!("{other}:{image}"),
    };
    text.parse().map_err(|error| BadUsage(format!("{error}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_may_be_in_the_reference_or_beside_it() {
        for (transport, image, whole) in [
            (None, "example.org/host:v1", "docker://example.org/host:v1"),
            (Some("registry"), "example.org/host:v1", "docker://example.org/host:v1"),
            (Some("oci"), "/media/images:v1", "oci:/media/images:v1"),
            (Some("containers-storage"), "localhost/host", "containers-storage:localhost/host"),
        ] {
            assert_eq!(reference(transport, image).unwrap().to_string(), whole);
        }
        assert!(reference(Some("oci"), "").is_err());
    }
}
