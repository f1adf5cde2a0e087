//! What scenarios start from: keys, sealed images and installed disks, made by `cfs-host` itself and cached.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context, Result};
use base64::prelude::{Engine, BASE64_STANDARD};

use crate::cache::{self, Input};
use crate::disk::Disk;
use crate::firmware;
use crate::machine::Machine;
use crate::verdict::Verdict;
use crate::{cmd, command};

/// The tool and the program under test.
#[derive(Clone, Debug)]
pub struct Bench {
    /// `cfs-host`.
    pub tool: PathBuf,
    /// `cfs-init`, as `ci/build-init` makes it.
    pub init: PathBuf,
}

/// A sealed image.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The keys that it was sealed with.
    pub keys: PathBuf,
    /// The OCI layout with the tag `host`.
    pub layout: PathBuf,
}

/// A sealed image and a disk that it is installed on.
#[derive(Clone, Debug)]
pub struct Host {
    /// The image.
    pub sealed: Sealed,
    /// The disk as the installer left it: fs-verity not on yet.
    pub disk: Disk,
}

/// What a host is made from.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Which keys: each name stands for a pair of platform and image keys.
    pub keys: &'static str,
    /// The product that policy and claims name.
    pub product: &'static str,
    /// Which test image: `tiny`, or `updating`, which is the tiny one with `cfs-host` in it.
    pub image: &'static str,
    /// The image's tag.
    pub version: &'static str,
    /// One more kernel argument: another one gives another uki-id.
    pub karg: Option<&'static str>,
}

/// The host that all scenarios attack.
pub const OURS: Recipe = Recipe { keys: "ours", product: "harness", image: "tiny", version: "v1", karg: None };

/// The host that goes all roads.
pub const UPDATING: Recipe = Recipe { image: "updating", ..OURS };

impl Bench {
    /// An image sealed by this recipe.
    pub fn sealed(&self, recipe: &Recipe) -> Result<Sealed> {
        let image = format!("localhost/cfs-{}:{}", recipe.image, recipe.version);
        let id = command::text(&mut cmd!("podman", "image", "inspect", "--format", "{{.Id}}", &image))
            .with_context(|| format!("there is no image {image}: run ci/images target/release/cfs-host"))?;
        let keys = self.keys(recipe)?;
        let certificate = keys.join("image/image.crt");
        let inputs = [
            Input::File(&self.tool),
            Input::File(&self.init),
            Input::File(&certificate),
            Input::Text(&id),
            Input::Text(recipe.karg.unwrap_or_default()),
        ];
        let made = cache::artifact(&recipe.artifact("sealed"), &inputs, |dir| self.seal(recipe, &image, &keys, dir))?;
        Ok(Sealed { keys, layout: made.join("layout") })
    }

    /// A host made by this recipe.
    pub fn host(&self, recipe: &Recipe) -> Result<Host> {
        let sealed = self.sealed(recipe)?;
        let image = sealed.reference();
        let inputs = [Input::File(&self.tool), Input::Text(&image)];
        let made = cache::artifact(&recipe.artifact("disk"), &inputs, |dir| {
            command::run(&mut cmd!(&self.tool, "install", "to-disk", "--image", &image, dir.join("disk.img")))
        })?;
        Ok(Host { sealed, disk: Disk::open(&made.join("disk.img"))? })
    }

    /// The host's disk after its first boot, with fs-verity on for all objects.
    pub fn booted(&self, host: &Host) -> Result<Disk> {
        let made = cache::artifact("booted", &[Input::Text(&host.disk.path().to_string_lossy())], |dir| {
            let disk = host.disk.copy_to(&dir.join("disk.img"))?;
            let vars = dir.join("vars.fd");
            fs::copy(firmware::enrolled(&host.sealed.keys)?, &vars)?;
            let mut machine = Machine::new(disk.path(), &vars);
            machine.persistent = true;
            let (mut running, verdict, _) = machine.boot()?;
            ensure!(matches!(verdict, Verdict::Booted { .. }), "the first boot failed: {verdict:#?}");
            running.agent().check("sync; umount -r /var /etc /sysroot 2>/dev/null; sync")?;
            running.cut_power()?;
            Ok(())
        })?;
        Disk::open(&made.join("disk.img"))
    }

    fn keys(&self, recipe: &Recipe) -> Result<PathBuf> {
        let name = format!("keys-{}-{}", recipe.keys, recipe.product);
        let made = cache::artifact(&name, &[Input::File(&self.tool)], |dir| {
            let keys = dir.join("keys");
            command::run(&mut cmd!(&self.tool, "keys", "generate", "--product", recipe.product, keys))
        })?;
        Ok(made.join("keys"))
    }

    fn seal(&self, recipe: &Recipe, image: &str, keys: &Path, dir: &Path) -> Result<()> {
        let sealed = format!("oci:{}:host", dir.join("layout").display());
        let mut seal = cmd!(&self.tool, "seal", format!("containers-storage:{image}"), "--keys", keys, sealed);
        seal.arg("--init").arg(&self.init);
        if let Some(karg) = recipe.karg {
            seal.args(["--karg", karg]);
        }
        command::run(&mut seal)
    }
}

impl Recipe {
    /// Each version has a name of its own in the cache, so that one does not push another out.
    fn artifact(&self, kind: &str) -> String {
        format!("{kind}-{}-{}", self.image, self.version)
    }
}

impl Sealed {
    /// The image, for `cfs-host` and skopeo.
    pub fn reference(&self) -> String {
        format!("oci:{}:host", self.layout.display())
    }
}

impl Host {
    /// The id of the only deployment.
    pub fn deployment(&self) -> Result<String> {
        let mut found = self.disk.root_list("/cfs/deploy")?;
        ensure!(found.len() == 1, "the fresh disk has {} deployments", found.len());
        Ok(found.remove(0))
    }

    /// The path of the deployment's signature on the root file system.
    pub fn signature(&self) -> Result<String> {
        Ok(format!("/cfs/deploy/{}/image.sig", self.deployment()?))
    }

    /// The path of the EROFS image's object on the root file system.
    pub fn image(&self) -> Result<String> {
        let origin = self.disk.root_read(&format!("/cfs/deploy/{}/origin.json", self.deployment()?))?;
        let origin: serde_json::Value = serde_json::from_slice(&origin).context("origin.json is no JSON")?;
        object_path(origin["image"].as_str().context("origin.json names no image")?)
    }

    /// The signature of the OCI configuration: ours, valid, but for another role.
    pub fn config_signature(&self) -> Result<Vec<u8>> {
        let manifest = command::output(&mut cmd!("skopeo", "inspect", "--raw", self.sealed.reference()))?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).context("the manifest is no JSON")?;
        let signature = &manifest["config"]["annotations"]["composefs.config.fsverity-sha256-12.sig"];
        let signature = signature.as_str().context("the manifest's config carries no signature")?;
        BASE64_STANDARD.decode(signature).context("the config's signature is no base64")
    }
}

/// Where the object with this digest lies.
pub fn object_path(digest: &str) -> Result<String> {
    ensure!(digest.len() == 64 && digest.is_ascii(), "{digest:?} is no digest");
    Ok(format!("/composefs/objects/{}/{}", &digest[..2], &digest[2..]))
}

/// The object that holds this content.
pub fn object_of(content: &[u8]) -> Result<String> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let file = dir.path().join("content");
    fs::write(&file, content)?;
    let digest = command::text(&mut cmd!("fsverity", "digest", "--compact", "--hash-alg=sha256", file))?;
    object_path(digest.trim())
}
