//! `certs.d` (containers-certs.d(5)): private certificate authorities of a host, and the certificate that we show it.

use std::fs;
use std::path::{Path, PathBuf};

use openssl::pkey::PKey;
use openssl::x509::X509;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig, TlsProvider};

use super::places::{unusable, Places};
use crate::fetch::Result;

/// Whether what is there for a host can be read.
pub(super) fn check(places: &Places, host: &str) -> Result<()> {
    Found::of(places, host).map(drop)
}

/// How to speak TLS with a host.
pub(super) fn tls(places: &Places, host: &str, insecure: bool) -> Result<TlsConfig> {
    let found = Found::of(places, host)?;
    let roots = match found.authorities.is_empty() {
        true => RootCerts::PlatformVerifier,
        // Beside the system's, as podman has it.
        false => RootCerts::new_with_certs(&[found.authorities, system()].concat()),
    };
    Ok(TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(roots)
        .client_cert(found.client)
        .disable_verification(insecure)
        .build())
}

#[derive(Default)]
struct Found {
    authorities: Vec<Certificate<'static>>,
    client: Option<ClientCert>,
}

impl Found {
    fn of(places: &Places, host: &str) -> Result<Self> {
        let mut found = Self::default();
        let Some(folder) = places.certificates(host).into_iter().find(|folder| folder.is_dir()) else {
            return Ok(found);
        };
        for file in files(&folder).map_err(|error| unusable(&folder, error.to_string()))? {
            match file.extension().and_then(|ending| ending.to_str()) {
                Some("crt") => found.authorities.extend(certificates(&file)?),
                Some("cert") => found.client = Some(client(&file)?),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>> {
    let read = || -> std::result::Result<Vec<_>, String> {
        let pem = fs::read(file).map_err(|error| error.to_string())?;
        let certificates = X509::stack_from_pem(&pem).map_err(|error| error.to_string())?;
        let der = certificates.iter().map(|it| it.to_der().map(|der| Certificate::from_der(&der).to_owned()));
        der.collect::<std::result::Result<_, _>>().map_err(|error| error.to_string())
    };
    match read() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(file, "there is no certificate in it".to_owned())),
        Err(why) => Err(unusable(file, why)),
    }
}

/// `client.cert` goes with `client.key`.
fn client(certificate: &Path) -> Result<ClientCert> {
    let file = certificate.with_extension("key");
    let read = || -> std::result::Result<PrivateKey<'static>, String> {
        let pem = fs::read(&file).map_err(|error| error.to_string())?;
        // Whatever the form of the key is, this one is understood.
        let key = PKey::private_key_from_pem(&pem).and_then(|key| key.private_key_to_pem_pkcs8());
        PrivateKey::from_pem(&key.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    };
    let key = read().map_err(|why| unusable(&file, why))?;
    Ok(ClientCert::new_with_certs(&certificates(certificate)?, key))
}

/// The authorities that the system trusts.
fn system() -> Vec<Certificate<'static>> {
    openssl_probe::probe().cert_file.and_then(|file| certificates(&file).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("etc/containers/certs.d/a.example:5000");
        fs::create_dir_all(&folder).unwrap();
        let places = Places { root: dir.path().to_owned(), ..Places::default() };
        assert!(tls(&places, "a.example:5000", false).is_ok());
        fs::write(folder.join("ca.crt"), "x").unwrap();
        let error = tls(&places, "a.example:5000", false).err().unwrap().to_string();
        assert!(error.contains("ca.crt"), "{error}");
        assert!(tls(&places, "b.example", false).is_ok());
    }
}
