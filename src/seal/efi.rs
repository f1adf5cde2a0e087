//! Signs a loader or a UKI for the firmware.

use super::{Error, Result};
use crate::boot::authenticode;
use crate::trust::certificate::Algorithm;
use crate::trust::signer::Signer;

/// The file with an Authenticode signature by the Secure Boot key. `what` names it in errors.
pub fn sign(what: &'static str, pe: &[u8], signer: &dyn Signer) -> Result<Vec<u8>> {
    let certificate = signer.certificate();
    if certificate.algorithm() != Algorithm::Rsa {
        let why = "firmware is only sure to take RSA (is this the image signing key?)";
        return Err(crate::trust::Error::Key(certificate.name().to_owned(), why).into());
    }
    let refuse = |error| Error::Sign(what, error);
    let unsigned = authenticode::prepare(pe, certificate.der()).map_err(refuse)?;
    let signature = signer.sign(unsigned.message())?;
    unsigned.attach(&signature).map_err(refuse)
}
