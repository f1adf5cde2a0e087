//! Key directories: `cfs-host keys generate` (`docs/keys.md` says what each file is for).

use std::path::{Path, PathBuf};

use cfs_init::claims::OID_EKU_IMAGE_SIGNING;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509Builder, X509Name, X509};
use uuid::Uuid;

use super::efi_auth::{self, EfiTime, Variable};
use super::policy_file::PolicyFile;
use super::{Error, Result};
use crate::sys::Sys;

/// Firmware is only sure to take RSA with 2048 bits (UEFI 2.10, 32.3.6.1).
const FIRMWARE_RSA_BITS: u32 = 2048;
/// Certificates in firmware are pinned, not renewed; /init does not look at the clock.
const DAYS: u32 = 365 * 20;

/// Where things lie in a key directory.
#[derive(Clone, Debug)]
pub struct KeyDir(PathBuf);

impl KeyDir {
    /// The directory at this path, which need not exist.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A file of the Secure Boot hierarchy: `key`, `crt`, `cer`, `esl` or `auth`.
    pub fn secure_boot(&self, variable: Variable, ending: &str) -> PathBuf {
        self.0.join(format!("secureboot/{}.{ending}", variable.name()))
    }

    /// The image signer's certificate.
    pub fn image_certificate(&self) -> PathBuf {
        self.0.join("image/image.crt")
    }

    /// The image signer's key.
    pub fn image_key(&self) -> PathBuf {
        self.0.join("image/image.key")
    }

    /// The policy that people edit.
    pub fn policy(&self) -> PathBuf {
        self.0.join("policy.json")
    }
}

/// What a generated key directory is called.
#[derive(Clone, Debug)]
pub struct Names {
    /// The policy's product.
    pub product: String,
    /// The beginning of every certificate's common name.
    pub common_name: String,
    /// The time that firmware sees on the updates: seconds since 1970.
    pub now: u64,
}

/// Makes all keys, certificates, updates and the policy of a new key directory.
pub fn generate(dir: &KeyDir, names: &Names, sys: &Sys) -> Result<()> {
    if dir.path().exists() {
        return Err(Error::Exists(dir.path().to_owned()));
    }
    let policy = PolicyFile::strict(&names.product, vec!["image/image.crt".to_owned()]);
    let policy_json = serde_json::to_string_pretty(&policy)
        .map_err(|error| Error::File { path: dir.policy(), why: error.to_string() })?;
    let parent = crate::sys::parent(dir.path());
    // Made under another name: a key directory is complete, or it is not there.
    let name = dir.path().file_name().unwrap_or_default().to_string_lossy();
    sys.remove_leftovers(parent, &name)?;
    let building = KeyDir(parent.join(format!(".tmp-{name}-{}", std::process::id())));
    let outcome = fill(&building, names, &policy_json, sys).and_then(|()| Ok(sys.rename(building.path(), dir.path())?));
    if outcome.is_err() {
        sys.remove_dir_all(building.path())?;
    }
    outcome
}

fn fill(dir: &KeyDir, names: &Names, policy_json: &str, sys: &Sys) -> Result<()> {
    for path in [dir.path().to_owned(), dir.path().join("secureboot"), dir.path().join("image")] {
        sys.create_dir(&path, 0o700)?;
    }
    secure_boot(dir, names, sys)?;
    let image = image_identity(&format!("{} image signing", names.common_name)).map_err(openssl("make a key"))?;
    write_identity(&image, &dir.image_key(), &dir.image_certificate(), sys)?;
    sys.write_file(&dir.policy(), format!("{policy_json}\n").as_bytes(), 0o644)?;
    Ok(())
}

/// PK signs itself and KEK, KEK signs db.
fn secure_boot(dir: &KeyDir, names: &Names, sys: &Sys) -> Result<()> {
    let owner = Uuid::new_v4();
    sys.write_file(&dir.path().join("secureboot/GUID.txt"), format!("{owner}\n").as_bytes(), 0o644)?;
    let time = EfiTime::from_unix(names.now);
    let mut above: Option<Identity> = None;
    for variable in [Variable::Pk, Variable::Kek, Variable::Db] {
        let name = format!("{} {}", names.common_name, variable.name());
        let identity = firmware_identity(&name).map_err(openssl("make a key"))?;
        write_identity(&identity, &dir.secure_boot(variable, "key"), &dir.secure_boot(variable, "crt"), sys)?;
        let der = identity.certificate.to_der().map_err(openssl("encode a certificate"))?;
        let list = efi_auth::signature_list(owner, &der);
        let signer = above.as_ref().unwrap_or(&identity);
        let auth = efi_auth::update(variable, &list, time, &signer.certificate, &signer.key)?;
        for (ending, bytes) in [("cer", &der), ("esl", &list), ("auth", &auth)] {
            sys.write_file(&dir.secure_boot(variable, ending), bytes, 0o644)?;
        }
        above = Some(identity);
    }
    Ok(())
}

struct Identity {
    key: PKey<Private>,
    certificate: X509,
}

fn write_identity(identity: &Identity, key: &Path, certificate: &Path, sys: &Sys) -> Result<()> {
    let key_pem = identity.key.private_key_to_pem_pkcs8().map_err(openssl("encode a key"))?;
    let certificate_pem = identity.certificate.to_pem().map_err(openssl("encode a certificate"))?;
    sys.write_file(key, &key_pem, 0o600)?;
    sys.write_file(certificate, &certificate_pem, 0o644)?;
    Ok(())
}

fn firmware_identity(name: &str) -> std::result::Result<Identity, ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(FIRMWARE_RSA_BITS)?)?;
    let mut builder = self_signed(name, &key)?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    finish(builder, key)
}

/// Not an authority; for signing images and for nothing else (rule 13).
fn image_identity(name: &str) -> std::result::Result<Identity, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut builder = self_signed(name, &key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    let usage = OID_EKU_IMAGE_SIGNING.to_string();
    builder.append_extension(ExtendedKeyUsage::new().critical().other(&usage).build()?)?;
    finish(builder, key)
}

fn self_signed(name: &str, key: &PKey<Private>) -> std::result::Result<X509Builder, ErrorStack> {
    let mut subject = X509Name::builder()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    let subject = subject.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
    Ok(builder)
}

fn finish(mut builder: X509Builder, key: PKey<Private>) -> std::result::Result<Identity, ErrorStack> {
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok(Identity { key, certificate: builder.build() })
}

fn openssl(what: &'static str) -> impl Fn(ErrorStack) -> Error {
    move |error| Error::OpenSsl(what, error)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sys::{Fault, FaultPlan};
    use std::os::unix::fs::PermissionsExt;

    pub(crate) fn generated() -> (tempfile::TempDir, KeyDir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = KeyDir::new(&temporary.path().join("keys"));
        generate(&dir, &names(), &Sys::real()).unwrap();
        (temporary, dir)
    }

    fn names() -> Names {
        Names { product: "example".into(), common_name: "Example".into(), now: 1_700_000_000 }
    }

    #[test]
    fn private_keys_are_private_and_nothing_is_overwritten() {
        let (_temporary, dir) = generated();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(dir.path()), 0o700);
        let keys = [Variable::Pk, Variable::Kek, Variable::Db].map(|variable| dir.secure_boot(variable, "key"));
        for key in keys.iter().chain([&dir.image_key()]) {
            assert_eq!(mode(key), 0o600, "{}", key.display());
        }
        let error = generate(&dir, &names(), &Sys::real()).unwrap_err();
        assert!(error.to_string().contains("never overwritten"), "{error}");
    }

    #[test]
    fn whatever_step_fails_nothing_half_done_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = KeyDir::new(&temporary.path().join("keys"));
        for at in [1, 4, 9, 20, 40] {
            let sys = Sys::with_fault(FaultPlan { at, fault: Fault::Errno(28) });
            generate(&dir, &names(), &sys).unwrap_err();
            assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "step {at}");
        }
    }

    #[test]
    fn the_image_certificate_says_what_it_is_for() {
        let (_temporary, dir) = generated();
        let output = std::process::Command::new("openssl")
            .args(["x509", "-noout", "-text", "-in"])
            .arg(dir.image_certificate())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for part in ["critical\n                Digital Signature", "8900059.2", "CA:FALSE", "Subject Key Identifier"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn updates_are_signed_by_the_key_above() {
        let (_temporary, dir) = generated();
        let pem = |variable| std::fs::read(dir.secure_boot(variable, "crt")).unwrap();
        for (variable, above) in
            [(Variable::Pk, Variable::Pk), (Variable::Kek, Variable::Pk), (Variable::Db, Variable::Kek)]
        {
            let auth = std::fs::read(dir.secure_boot(variable, "auth")).unwrap();
            let list = std::fs::read(dir.secure_boot(variable, "esl")).unwrap();
            let length = u32::from_le_bytes(auth[16..20].try_into().unwrap()) as usize;
            assert_eq!(&auth[16 + length..], list, "the payload follows the certificate");
            let mut message: Vec<u8> = variable.name().encode_utf16().flat_map(u16::to_le_bytes).collect();
            message.extend_from_slice(&variable_vendor(variable));
            message.extend_from_slice(&[0x27, 0, 0, 0]);
            message.extend_from_slice(&auth[..16]);
            message.extend_from_slice(&list);
            verify_signed_data(&auth[40..16 + length], &message, &pem(above));
        }
    }

    fn variable_vendor(variable: Variable) -> [u8; 16] {
        match variable {
            Variable::Db => uuid::uuid!("d719b2cb-3d44-4596-a3bc-dad00e67656f").to_bytes_le(),
            _ => uuid::uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c").to_bytes_le(),
        }
    }

    /// As EDK2 does: wraps SignedData in a ContentInfo and verifies it against the message.
    fn verify_signed_data(signed_data: &[u8], message: &[u8], certificate: &[u8]) {
        use der::{Decode, Encode};
        let info = cms::content_info::ContentInfo {
            content_type: const_oid::db::rfc5911::ID_SIGNED_DATA,
            content: der::Any::from_der(signed_data).unwrap(),
        };
        let pkcs7 = openssl::pkcs7::Pkcs7::from_der(&info.to_der().unwrap()).unwrap();
        let mut store = openssl::x509::store::X509StoreBuilder::new().unwrap();
        store.add_cert(X509::from_pem(certificate).unwrap()).unwrap();
        let none = openssl::stack::Stack::new().unwrap();
        let flags = openssl::pkcs7::Pkcs7Flags::BINARY;
        pkcs7.verify(&none, &store.build(), Some(message), None, flags).unwrap();
    }
}
