//! A registry on the host's loopback (`docker-registry`), which guests reach as 10.0.2.2; stopped when dropped.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use tempfile::TempDir;

use crate::{cmd, command};

/// What the host is called inside a machine with QEMU's user network.
const HOST: &str = "10.0.2.2";

/// A running registry with its own, empty storage.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    port: u16,
    _storage: TempDir,
}

impl Registry {
    /// Starts one on a free port and waits until it answers.
    pub fn start() -> Result<Self> {
        let storage = tempfile::Builder::new().prefix("cfs-registry-").tempdir().context("no place for a registry")?;
        // Free at this moment; whoever takes it in between makes the start fail, loudly.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let (config, log) = (storage.path().join("config.yml"), storage.path().join("log"));
        let data = storage.path().join("data");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n",
            data.display()
        );
        fs::write(&config, text)?;
        let child = cmd!("docker-registry", "serve", &config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start docker-registry: is it installed? ci/setup installs what the tests need")?;
        let mut registry = Self { child, port, _storage: storage };
        registry.wait(&log)?;
        Ok(registry)
    }

    fn wait(&mut self, log: &Path) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait()?.is_some();
            let said = || fs::read_to_string(log).unwrap_or_default();
            ensure!(!ended && Instant::now() < end, "the registry does not answer: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Puts the image of this OCI layout, as `oci:DIR:TAG`, under a name such as `host:v2`; an older one is replaced.
    pub fn push(&self, layout: &str, name: &str) -> Result<()> {
        let to = format!("docker://127.0.0.1:{}/{name}", self.port);
        command::run(&mut cmd!(
            "skopeo",
            "copy",
            "--quiet",
            "--preserve-digests",
            "--dest-tls-verify=false",
            layout,
            to
        ))
    }

    /// The image's reference for a guest.
    pub fn reference(&self, name: &str) -> String {
        format!("docker://{HOST}:{}/{name}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
