//! Authenticated variables: how firmware takes PK, KEK and db (UEFI 2.10, 8.2.2 and 32.4.1).

use der::{Decode, Encode};
use openssl::pkcs7::{Pkcs7, Pkcs7Flags};
use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::{X509Ref, X509};
use uuid::{uuid, Uuid};

use super::{Error, Result};

const CERT_X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
const CERT_TYPE_PKCS7: Uuid = uuid!("4aafd29d-68df-49ee-8aa9-347d375665a7");
const GLOBAL_VARIABLE: Uuid = uuid!("8be4df61-93ca-11d2-aa0d-00e098032b8c");
const IMAGE_SECURITY_DATABASE: Uuid = uuid!("d719b2cb-3d44-4596-a3bc-dad00e67656f");
/// Non-volatile, boot services, runtime, time-based authenticated write.
const ATTRIBUTES: u32 = 0x27;
const WIN_CERT_TYPE_EFI_GUID: u16 = 0x0ef1;

/// A variable of the Secure Boot hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// Platform key: who may change KEK.
    Pk,
    /// Key exchange key: who may change db and dbx.
    Kek,
    /// What may start.
    Db,
}

impl Variable {
    /// Its name, which is also the name of its files.
    pub const fn name(self) -> &'static str {
        match self {
            Variable::Pk => "PK",
            Variable::Kek => "KEK",
            Variable::Db => "db",
        }
    }

    fn vendor(self) -> Uuid {
        match self {
            Variable::Pk | Variable::Kek => GLOBAL_VARIABLE,
            Variable::Db => IMAGE_SECURITY_DATABASE,
        }
    }
}

/// When an update was made: firmware takes no update that is not later than the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EfiTime([u8; 16]);

impl EfiTime {
    /// From seconds since 1970, UTC.
    pub fn from_unix(seconds: u64) -> Self {
        let (days, rest) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&year.to_le_bytes());
        bytes[2] = month;
        bytes[3] = day;
        bytes[4] = (rest / 3600) as u8;
        bytes[5] = (rest / 60 % 60) as u8;
        bytes[6] = (rest % 60) as u8;
        Self(bytes)
    }
}

/// Days since 1970-01-01 to year, month, day (Howard Hinnant's `civil_from_days`, for days from 1970 on).
fn civil(days: u64) -> (u16, u8, u8) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year as u16, month as u8, day as u8)
}

/// `EFI_SIGNATURE_LIST` with one certificate.
pub fn signature_list(owner: Uuid, certificate_der: &[u8]) -> Vec<u8> {
    let signature_size = 16 + certificate_der.len() as u32;
    let mut list = CERT_X509.to_bytes_le().to_vec();
    for field in [28 + signature_size, 0, signature_size] {
        list.extend_from_slice(&field.to_le_bytes());
    }
    list.extend_from_slice(&owner.to_bytes_le());
    list.extend_from_slice(certificate_der);
    list
}

/// `EFI_VARIABLE_AUTHENTICATION_2` and the lists: the whole `.auth` file, signed by the key above the variable.
pub fn update(
    variable: Variable,
    lists: &[u8],
    time: EfiTime,
    certificate: &X509Ref,
    key: &PKey<Private>,
) -> Result<Vec<u8>> {
    let mut message: Vec<u8> = variable.name().encode_utf16().flat_map(u16::to_le_bytes).collect();
    message.extend_from_slice(&variable.vendor().to_bytes_le());
    message.extend_from_slice(&ATTRIBUTES.to_le_bytes());
    message.extend_from_slice(&time.0);
    message.extend_from_slice(lists);
    let signed_data = signed_data(&message, certificate, key)?;
    let mut file = time.0.to_vec();
    file.extend_from_slice(&(24 + signed_data.len() as u32).to_le_bytes());
    file.extend_from_slice(&0x0200u16.to_le_bytes());
    file.extend_from_slice(&WIN_CERT_TYPE_EFI_GUID.to_le_bytes());
    file.extend_from_slice(&CERT_TYPE_PKCS7.to_bytes_le());
    file.extend_from_slice(&signed_data);
    file.extend_from_slice(lists);
    Ok(file)
}

/// PKCS#7 SignedData without the ContentInfo around it and without signed attributes, as the specification wants it.
fn signed_data(message: &[u8], certificate: &X509Ref, key: &PKey<Private>) -> Result<Vec<u8>> {
    let flags = Pkcs7Flags::BINARY | Pkcs7Flags::DETACHED | Pkcs7Flags::NOATTR;
    let content_info = Stack::<X509>::new()
        .and_then(|none| Pkcs7::sign(certificate, key, &none, message, flags))
        .and_then(|pkcs7| pkcs7.to_der())
        .map_err(|error| Error::OpenSsl("sign the variable", error))?;
    cms::content_info::ContentInfo::from_der(&content_info)
        .and_then(|info| info.content.to_der())
        .map_err(|error| Error::Der("OpenSSL's PKCS#7", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_civil_times() {
        for (seconds, expected) in [
            (0, [0xb2, 0x07, 1, 1, 0, 0, 0]),
            (951_827_696, [0xd0, 0x07, 2, 29, 12, 34, 56]),
            (1_798_761_599, [0xea, 0x07, 12, 31, 23, 59, 59]),
        ] {
            assert_eq!(EfiTime::from_unix(seconds).0[..7], expected, "{seconds}");
        }
    }

    #[test]
    fn a_signature_list_has_the_sizes_that_firmware_adds_up() {
        let list = signature_list(Uuid::nil(), &[9; 100]);
        assert_eq!(list.len(), 28 + 16 + 100);
        assert_eq!(list[16..20], 144u32.to_le_bytes());
        assert_eq!(list[24..28], 116u32.to_le_bytes());
    }
}
