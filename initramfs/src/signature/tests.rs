use cms::cert::CertificateChoices;
use cms::signed_data::SignerInfo;
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_DATA, ID_MESSAGE_DIGEST, ID_SIGNED_DATA, ID_SIGNING_TIME};
use const_oid::db::rfc5912::{ECDSA_WITH_SHA_384, ID_SHA_384, SECP_384_R_1};
use const_oid::ObjectIdentifier;
use der::asn1::{BitString, OctetString, SetOfVec};
use der::{Any, Encode};
use proptest::prelude::*;
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::ext::Extension;
use x509_cert::{TbsCertificate, Version};

use super::testing::*;
use super::*;
use crate::claims::{OID_CLAIMS, OID_EKU_IMAGE_SIGNING};
use crate::profile::{MAX_SIGNATURE, MAX_SIGNERS};

fn anna() -> Person {
    Person::new("anna", 1, p256(1))
}

fn bert() -> Person {
    Person::new("bert", 2, p384(2))
}

fn check(signature: &[u8], policy: &Policy) -> Result<Verified, Refusal> {
    verify(signature, &IMAGE, Role::HostBootable, policy)
}

/// Asserts the rule and a word of the message.
#[track_caller]
fn refused(result: Result<Verified, Refusal>, rule: u8, words: &str) {
    let refusal = result.expect_err(words);
    assert!(refusal.rule == rule && refusal.why.contains(words), "expected rule {rule}, {words:?}: {refusal}");
}

#[track_caller]
fn refused_by_anna(signature: &[u8], rule: u8, words: &str) {
    refused(check(signature, &policy(&[&anna()], 1)), rule, words);
}

#[test]
fn a_trusted_signer_of_either_curve_is_believed() {
    for person in [anna(), bert()] {
        let signature = bundle(vec![person.sign(&claims())]);
        let verified = check(&signature, &policy(&[&person], 1)).unwrap();
        assert_eq!(verified.claims(), &claims());
        assert_eq!(verified.signers(), [person.name]);
        assert_eq!(claimed_digest(&signature), Ok(IMAGE));
    }
}

#[test]
fn a_signer_is_found_by_key_id_too() {
    let signed = SignerInfo { sid: anna().by_key_id(), ..anna().sign(&claims()) };
    let signature = bundle(vec![signed]);
    assert!(check(&signature, &policy(&[&bert(), &anna()], 1)).is_ok());
    refused(check(&signature, &policy(&[&bert()], 1)), 13, "unknown key");
    let without = anna().with(|tbs| tbs.extensions.as_mut().unwrap().truncate(1));
    refused(check(&signature, &policy(&[&without], 1)), 13, "unknown key");
}

#[test]
fn issuer_and_serial_must_both_match() {
    let signature = bundle(vec![anna().sign(&claims())]);
    let other_serial = Person::new("anna", 3, p256(1));
    let other_issuer = Person::new("carl", 1, p256(1));
    refused(check(&signature, &policy(&[&other_serial], 1)), 13, "unknown key");
    refused(check(&signature, &policy(&[&other_issuer], 1)), 13, "unknown key");
}

#[test]
fn an_unsigned_image_is_called_unsigned() {
    refused_by_anna(b"", 13, "not signed");
    refused_by_anna(&bundle(vec![]), 13, "not signed");
    assert!(claimed_digest(b"").unwrap_err().why.contains("not signed"));
}

#[test]
fn a_stranger_is_ignored_but_never_counts() {
    let mallory = Person::new("mallory", 66, p256(66));
    let alone = bundle(vec![mallory.sign(&claims())]);
    refused_by_anna(&alone, 13, "unknown key");
    let stranger = mallory.sign(&Claims { product: "another".into(), ..claims() });
    let both = bundle(vec![stranger, anna().sign(&claims())]);
    assert_eq!(check(&both, &policy(&[&anna()], 1)).unwrap().signers(), ["anna"]);
    refused(check(&both, &policy(&[&anna(), &bert()], 2)), 13, "1 of the policy's signers");
}

#[test]
fn a_known_name_with_another_key_is_a_forgery() {
    let forger = Person::new("anna", 1, p256(66));
    refused_by_anna(&bundle(vec![forger.sign(&claims())]), 13, "not valid");
    let with_bert = bundle(vec![forger.sign(&claims()), bert().sign(&claims())]);
    refused(check(&with_bert, &policy(&[&anna(), &bert()], 1)), 13, "not valid");
}

#[test]
fn of_two_certificates_with_one_name_either_key_is_good() {
    let renewed = Person { name: "anna, renewed".into(), ..Person::new("anna", 1, p256(7)) };
    let policy = policy(&[&anna(), &renewed], 1);
    for person in [anna(), renewed] {
        assert_eq!(check(&bundle(vec![person.sign(&claims())]), &policy).unwrap().signers(), [person.name]);
    }
}

#[test]
fn the_signature_covers_the_attributes() {
    let mut info = anna().sign(&claims());
    let lie = Claims { security_version: 2, ..claims() };
    info.signed_attrs = Some(SetOfVec::try_from(anna().attributes(&lie, &IMAGE.formatted())).unwrap());
    refused_by_anna(&bundle(vec![info]), 13, "not valid");
    let not_der = SignerInfo { signature: OctetString::new(vec![0; 64]).unwrap(), ..anna().sign(&claims()) };
    refused_by_anna(&bundle(vec![not_der]), 13, "not valid");
    let not_der = SignerInfo { signature: OctetString::new(vec![0; 96]).unwrap(), ..bert().sign(&claims()) };
    refused(check(&bundle(vec![not_der]), &policy(&[&bert()], 1)), 13, "not valid");
}

#[test]
fn hash_and_algorithm_must_go_with_the_key() {
    for person in [anna(), bert()] {
        let good = person.sign(&claims());
        let other = if person.name == "anna" { bert() } else { anna() }.sign(&claims());
        for bad in [
            SignerInfo { digest_alg: other.digest_alg.clone(), ..good.clone() },
            SignerInfo { signature_algorithm: other.signature_algorithm.clone(), ..good.clone() },
        ] {
            refused(check(&bundle(vec![bad]), &policy(&[&person], 1)), 13, "not valid");
        }
    }
}

#[test]
fn both_halves_of_the_curve_are_valid_signatures() {
    let mut info = anna().sign(&claims());
    let low = p256::ecdsa::Signature::from_der(info.signature.as_bytes()).unwrap();
    let (r, s) = low.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s.as_ref()).to_bytes()).unwrap();
    assert_ne!(low, other);
    info.signature = OctetString::new(other.to_der().as_bytes()).unwrap();
    assert!(check(&bundle(vec![info]), &policy(&[&anna()], 1)).is_ok());
}

#[test]
fn the_signature_of_another_image_is_called_so() {
    let other = Digest::new([7; 32]);
    let foreign = bundle(vec![anna().sign(&Claims { digest: other, ..claims() })]);
    refused_by_anna(&foreign, 10, "another image");
    // Claims and content must both be of this image.
    let claims_lie = anna().attributes(&claims(), &other.formatted());
    refused_by_anna(&bundle(vec![anna().sign_attributes(claims_lie)]), 10, "another image");
    let content_lie = anna().attributes(&Claims { digest: other, ..claims() }, &IMAGE.formatted());
    refused_by_anna(&bundle(vec![anna().sign_attributes(content_lie)]), 10, "another image");
    let bert_lies = bert().attributes(&claims(), &other.formatted());
    let signature = bundle(vec![bert().sign_attributes(bert_lies)]);
    refused(check(&signature, &policy(&[&bert()], 1)), 10, "another image");
}

#[test]
fn role_product_and_uki_must_be_the_ones_asked_for() {
    let signed = |claims: Claims| bundle(vec![anna().sign(&claims)]);
    refused_by_anna(&signed(Claims { role: Role::HostConfig, ..claims() }), 11, "host-config");
    refused_by_anna(&signed(Claims { product: "another".into(), ..claims() }), 11, "product");
    refused_by_anna(&signed(Claims { uki_ids: vec![Digest::new([8; 32])], ..claims() }), 12, "not signed for this UKI");
    refused_by_anna(&signed(Claims { uki_ids: vec![], ..claims() }), 12, "not signed for this UKI");
}

#[test]
fn a_configuration_needs_no_uki() {
    let config = bundle(vec![anna().sign(&Claims { role: Role::HostConfig, uki_ids: vec![], ..claims() })]);
    let policy = policy(&[&anna()], 1);
    assert!(verify(&config, &IMAGE, Role::HostConfig, &policy).is_ok());
    let image = bundle(vec![anna().sign(&claims())]);
    refused(verify(&image, &IMAGE, Role::HostConfig, &policy), 11, "host-bootable");
}

#[test]
fn old_and_revoked_images_no_longer_boot() {
    let signature = bundle(vec![anna().sign(&claims())]);
    let with = |minimum, revoked| {
        let policy = Policy {
            minimum_security_version: minimum,
            revoked_images: vec![Digest::new([5; 32]), revoked],
            ..policy(&[&anna()], 1)
        };
        check(&signature, &policy)
    };
    assert!(with(0, Digest::new([6; 32])).is_ok());
    assert!(with(1, Digest::new([6; 32])).is_ok());
    refused(with(2, Digest::new([6; 32])), 5, "security version 1");
    refused(with(1, IMAGE), 5, "revoked");
}

#[test]
fn the_threshold_counts_keys_not_certificates_or_statements() {
    let again = Person::new("anna again", 3, p256(1));
    let policy = policy(&[&anna(), &again, &bert()], 2);
    let by_key_id = SignerInfo { sid: anna().by_key_id(), ..anna().sign(&claims()) };
    for one_key in [vec![anna().sign(&claims())], vec![anna().sign(&claims()), again.sign(&claims()), by_key_id]] {
        refused(check(&bundle(one_key), &policy), 13, "1 of the policy's signers");
    }
    let mut both = check(&bundle(vec![anna().sign(&claims()), bert().sign(&claims())]), &policy).unwrap().signers;
    both.sort();
    assert_eq!(both, ["anna", "bert"]);
}

#[test]
fn signers_that_count_must_agree() {
    let other = Claims { security_version: 2, ..claims() };
    let signature = bundle(vec![anna().sign(&claims()), bert().sign(&other)]);
    refused(check(&signature, &policy(&[&anna(), &bert()], 1)), 13, "same claims");
}

#[test]
fn signers_of_different_images_name_no_image() {
    let other = Claims { digest: Digest::new([7; 32]), ..claims() };
    let conflict = bundle(vec![anna().sign(&claims()), bert().sign(&other)]);
    assert!(claimed_digest(&conflict).unwrap_err().why.contains("different images"));
    let agree = bundle(vec![anna().sign(&claims()), bert().sign(&claims())]);
    assert_eq!(claimed_digest(&agree), Ok(IMAGE));
}

#[test]
fn size_and_number_of_signers_are_bounded() {
    let people: Vec<_> = (0..=MAX_SIGNERS as u8).map(|n| Person::new("x", n, p256(n + 1)).sign(&claims())).collect();
    let eight = bundle(people[..MAX_SIGNERS].to_vec());
    assert_eq!(claimed_digest(&eight), Ok(IMAGE));
    assert!(claimed_digest(&bundle(people)).unwrap_err().why.contains("9 signers"));
    // Ignored bytes, to the limit and one beyond it.
    let padded = |pad: usize| {
        let mut info = anna().sign(&claims());
        info.unsigned_attrs =
            Some(SetOfVec::try_from(vec![attribute(ID_SIGNING_TIME, &[octets(&vec![0; pad])])]).unwrap());
        bundle(vec![info])
    };
    let fits = 15_000 + MAX_SIGNATURE - padded(15_000).len();
    assert_eq!(padded(fits).len(), MAX_SIGNATURE);
    assert!(check(&padded(fits), &policy(&[&anna()], 1)).is_ok());
    refused_by_anna(&padded(fits + 1), 13, "16385 bytes");
}

#[test]
fn other_signed_attributes_unsigned_ones_and_certificates_are_ignored() {
    let mut attributes = anna().attributes(&claims(), &IMAGE.formatted());
    attributes.push(attribute(ID_SIGNING_TIME, &[Any::new(der::Tag::UtcTime, b"260101000000Z".as_slice()).unwrap()]));
    let mut info = anna().sign_attributes(attributes);
    info.unsigned_attrs = Some(SetOfVec::try_from(vec![attribute(OID_CLAIMS, &[Any::null()])]).unwrap());
    let signature = bundle_with(vec![info], |data| {
        let certificate = CertificateChoices::Certificate(bert().certificate);
        data.certificates = Some(SetOfVec::try_from(vec![certificate]).unwrap().into());
    });
    assert!(check(&signature, &policy(&[&anna()], 1)).is_ok());
    // An embedded certificate makes nobody known.
    refused(check(&signature, &policy(&[&bert()], 1)), 13, "unknown key");
}

#[test]
fn each_attribute_must_be_there_once_with_one_value() {
    for oid in [ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, OID_CLAIMS] {
        let sound = anna().attributes(&claims(), &IMAGE.formatted());
        let at = sound.iter().position(|one| one.oid == oid).unwrap();
        let mut missing = sound.clone();
        missing.remove(at);
        let mut two_values = sound.clone();
        two_values[at].values.insert(Any::null()).unwrap();
        let mut twice = sound.clone();
        twice.push(attribute(oid, &[Any::null()]));
        let mut empty = sound.clone();
        empty[at].values = SetOfVec::default();
        for bad in [missing, two_values, twice, empty] {
            refused_by_anna(&bundle(vec![anna().sign_attributes(bad)]), 13, "exactly one value");
        }
    }
}

#[test]
fn a_message_names_the_attribute() {
    for (oid, name) in
        [(ID_CONTENT_TYPE, "content type"), (ID_MESSAGE_DIGEST, "message digest"), (OID_CLAIMS, "cfs-claims")]
    {
        let mut attributes = anna().attributes(&claims(), &IMAGE.formatted());
        attributes.retain(|one| one.oid != oid);
        refused_by_anna(&bundle(vec![anna().sign_attributes(attributes)]), 13, name);
    }
}

#[test]
fn attributes_of_another_type_are_refused() {
    let with = |at: usize, value: Any| {
        let mut attributes = anna().attributes(&claims(), &IMAGE.formatted());
        attributes[at].values = SetOfVec::try_from(vec![value]).unwrap();
        bundle(vec![anna().sign_attributes(attributes)])
    };
    refused_by_anna(&with(0, Any::from(&ID_SIGNED_DATA)), 13, "content type is not plain data");
    refused_by_anna(&with(1, Any::null()), 13, "PKCS#7 in DER");
    refused_by_anna(&with(2, Any::null()), 11, "claims are not canonical");
}

#[test]
fn a_signer_without_signed_attributes_is_refused() {
    let bare = SignerInfo { signed_attrs: None, ..anna().sign(&claims()) };
    refused_by_anna(&bundle(vec![bare]), 13, "no attributes");
}

#[test]
fn algorithm_parameters_are_refused_but_for_null() {
    let with = |parameters: Any| {
        let mut info = anna().sign(&claims());
        info.digest_alg = AlgorithmIdentifierOwned { parameters: Some(parameters), ..info.digest_alg };
        bundle(vec![info])
    };
    assert!(check(&with(Any::null()), &policy(&[&anna()], 1)).is_ok());
    refused_by_anna(&with(Any::from(&ID_DATA)), 13, "has parameters");
}

#[test]
fn only_detached_signed_data_is_read() {
    let info = || vec![anna().sign(&claims())];
    let embedded = bundle_with(info(), |data| {
        data.encap_content_info.econtent = Some(octets(&IMAGE.formatted()));
    });
    refused_by_anna(&embedded, 13, "not a detached one");
    let other = bundle_with(info(), |data| data.encap_content_info.econtent_type = ID_SIGNED_DATA);
    refused_by_anna(&other, 13, "not a detached one");
    refused_by_anna(&wrap(ID_DATA, &[4, 0]), 13, "not PKCS#7 signed data");
    refused_by_anna(b"-----BEGIN PKCS7-----", 13, "PKCS#7 in DER");
}

#[test]
fn trailing_bytes_and_other_encodings_are_refused() {
    let good = bundle(vec![anna().sign(&claims())]);
    refused_by_anna(&[&good[..], &[0]].concat(), 13, "DER");
    // BER: the indefinite length around the whole.
    let mut indefinite = vec![0x30, 0x80];
    indefinite.extend_from_slice(&good[4..]);
    indefinite.extend_from_slice(&[0, 0]);
    refused_by_anna(&indefinite, 13, "DER");
    // The elements of a SET in another order.
    let swap = |first: &[u8], second: &[u8], in_: &[u8]| {
        let (from, to) = ([first, second].concat(), [second, first].concat());
        let at = in_.windows(from.len()).position(|window| window == from).unwrap();
        let mut swapped = in_.to_vec();
        swapped[at..at + to.len()].copy_from_slice(&to);
        swapped
    };
    let attributes = anna().sign(&claims()).signed_attrs.unwrap();
    let ders: Vec<_> = attributes.iter().map(|one| one.to_der().unwrap()).collect();
    refused_by_anna(&swap(&ders[0], &ders[1], &good), 13, "another encoding");
}

#[test]
fn certificates_that_are_not_for_images_refuse_the_policy() {
    type Change = fn(&mut TbsCertificate);
    fn push(tbs: &mut TbsCertificate, extension: Extension) {
        tbs.extensions.as_mut().unwrap().push(extension);
    }
    fn basic(ca: bool) -> Extension {
        extension(&BasicConstraints { ca, path_len_constraint: None }, true)
    }
    fn usage(usage: KeyUsages) -> Extension {
        extension(&KeyUsage(usage.into()), true)
    }
    fn unknown(critical: bool) -> Extension {
        let extn_value = OctetString::new(vec![5, 0]).unwrap();
        Extension { extn_id: ObjectIdentifier::new_unwrap("1.2.3.4"), critical, extn_value }
    }
    let eku = |oids: Vec<ObjectIdentifier>| extension(&ExtendedKeyUsage(oids), true);
    let bad: [(Change, &str); 13] = [
        (|tbs| tbs.version = Version::V1, "version 3"),
        (|tbs| tbs.version = Version::V2, "version 3"),
        (|tbs| tbs.extensions = None, "extended key usage"),
        (|tbs| drop(tbs.extensions.as_mut().unwrap().remove(0)), "extended key usage"),
        (|tbs| push(tbs, basic(true)), "certificate authority"),
        (|tbs| push(tbs, usage(KeyUsages::KeyCertSign)), "digital signatures"),
        (|tbs| push(tbs, unknown(true)), "critical extension"),
        (|tbs| tbs.extensions.as_mut().unwrap()[1].critical = true, "critical extension"),
        (|tbs| push(tbs, tbs.extensions.clone().unwrap()[0].clone()), "twice"),
        (|tbs| (push(tbs, basic(false)), push(tbs, basic(false))).0, "twice"),
        (|tbs| tbs.subject_public_key_info.algorithm.oid = ID_DATA, "neither ECDSA"),
        (|tbs| tbs.subject_public_key_info.algorithm.parameters = Some(Any::from(&SECP_384_R_1)), "neither ECDSA"),
        (
            |tbs| tbs.subject_public_key_info.subject_public_key = BitString::from_bytes(&[4; 65]).unwrap(),
            "neither ECDSA",
        ),
    ];
    for (change, words) in bad {
        let policy = policy(&[&bert(), &anna().with(change)], 1);
        let refusal = check_signers(&policy).expect_err(words);
        assert!(refusal.rule == 13 && refusal.why.contains(words) && refusal.why.contains("anna"), "{refusal}");
        refused(check(&bundle(vec![bert().sign(&claims())]), &policy), 13, "anna");
    }
    let other_eku = anna().with(|tbs| tbs.extensions.as_mut().unwrap()[0] = eku(vec![ID_SHA_384, ECDSA_WITH_SHA_384]));
    assert!(check_signers(&policy(&[&other_eku], 1)).unwrap_err().why.contains("extended key usage"));

    let good: [Change; 4] = [
        |tbs| push(tbs, basic(false)),
        |tbs| push(tbs, usage(KeyUsages::DigitalSignature)),
        |tbs| push(tbs, unknown(false)),
        |tbs| {
            let both = ExtendedKeyUsage(vec![ID_DATA, OID_EKU_IMAGE_SIGNING]);
            tbs.extensions.as_mut().unwrap()[0] = extension(&both, false);
        },
    ];
    for change in good {
        assert_eq!(check_signers(&policy(&[&anna().with(change)], 1)), Ok(()));
    }
}

#[test]
fn a_certificate_must_parse() {
    let mut policy = policy(&[&anna()], 1);
    policy.signers[0].certificate.push(0);
    assert!(check_signers(&policy).unwrap_err().why.contains("anna"));
    policy.signers[0].certificate.clear();
    assert!(check_signers(&policy).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_flipped_bit_is_believed(at: prop::sample::Index, bit in 0u8..8) {
        let mut bad = bundle(vec![anna().sign(&claims())]);
        let at = at.index(bad.len());
        bad[at] ^= 1 << bit;
        // Outside of the signed attributes a bit may be free (the version, the list of digest algorithms):
        // what is believed is still what was signed.
        if let Ok(verified) = check(&bad, &policy(&[&anna()], 1)) {
            prop_assert_eq!(verified.claims(), &claims());
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(check(&bytes, &policy(&[&anna()], 1)).is_err());
        prop_assert!(claimed_digest(&bytes).is_err());
    }

    #[test]
    fn a_cut_signature_is_refused(at: prop::sample::Index) {
        let good = bundle(vec![anna().sign(&claims())]);
        prop_assert!(check(&good[..at.index(good.len())], &policy(&[&anna()], 1)).is_err());
    }

    #[test]
    fn claims_are_believed_for_what_was_signed_alone(product in "[a-z]{1,8}", version in 0u32..4, ids: [[u8; 32]; 2]) {
        let mut uki_ids: Vec<_> = ids.map(Digest::new).to_vec();
        uki_ids.push(Digest::new([2; 32]));
        let signed = Claims { product: product.clone(), security_version: version, uki_ids, ..claims() };
        let result = check(&bundle(vec![anna().sign(&signed)]), &policy(&[&anna()], 1));
        prop_assert_eq!(result.is_ok(), product == "example" && version >= 1);
    }
}
