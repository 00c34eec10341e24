//! `verify_signature` against real keys.
use super::guest::{Guest, get, said};
use crate::host::*;
use p256::ecdsa::signature::Signer;
use p256::pkcs8::EncodePublicKey as _;
use rsa::pkcs8::EncodePublicKey as _;
use rsa::sha2::{Digest, Sha256};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len() & 0x7f).unwrap();
    let size = if bytes.len() < 128 {
        vec![length]
    } else {
        vec![length | 0x80, u8::try_from(bytes.len() >> 7).unwrap()]
    };
    [&[number << 3 | 2][..], &size, bytes].concat()
}

fn arguments(hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Vec<u8> {
    [field(1, hash.as_bytes()), field(2, key), field(3, signature), field(4, text)].concat()
}

fn ask(arguments: &[u8], enabled: bool) -> String {
    let world = SharedWorld::default();
    let body = format!(
        r#"(call $say (call $proxy_call_foreign_function "verify_signature" "{}" OUT)) (call $show)"#,
        hex(arguments)
    );
    let options = VmOptions { verify_signature: enabled, ..VmOptions::default() };
    let mut vm = Guest::new().on("proxy_on_request_headers", &body).vm(&world, options);
    vm.open_stream(Properties::new()).unwrap().request_headers(get(), true).unwrap();
    said(&world)
}

#[test]
fn signatures_are_verified_as_envoy_does() {
    let signer = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let key = signer.verifying_key().to_public_key_der().unwrap();
    let signature: p256::ecdsa::DerSignature = signer.sign(b"text");
    let (key, signature) = (key.as_bytes(), signature.as_bytes());
    let failed = "0 \u{12}2Failed to verify digital signature. Error code: 0";
    let table = [
        (arguments("sha256", key, signature, b"text"), "0 \u{8}\u{1}"),
        (arguments("SHA256", key, signature, b"text"), "0 \u{8}\u{1}"),
        (arguments("sha256", key, signature, b"other"), failed),
        (arguments("sha384", key, signature, b"text"), failed),
        (arguments("sha256", key, b"no", b"text"), failed),
        (arguments("md5", key, signature, b"text"), "0 \u{12}\u{15}md5 is not supported."),
        (arguments("sha256", b"no", signature, b"text"), "0 \u{12}#Failed to initialize digest verify."),
        (arguments("sha256", b"", signature, b"text"), "2 "),
        (vec![0xff], "2 "),
    ];
    for (arguments, expected) in table {
        assert_eq!(ask(&arguments, true), expected, "{arguments:?}");
    }
    assert_eq!(ask(&arguments("sha256", key, signature, b"text"), false), "1 ");
}

#[test]
fn rsa_signatures_are_verified() {
    let pair = jwt_simple::algorithms::RS256KeyPair::generate(2048).unwrap();
    let pem = pair.to_pem().unwrap();
    let private: rsa::RsaPrivateKey = rsa::pkcs8::DecodePrivateKey::from_pkcs8_pem(&pem).unwrap();
    let signature = private.sign(rsa::Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(b"text")).unwrap();
    let key = private.to_public_key().to_public_key_der().unwrap();
    assert_eq!(ask(&arguments("sha256", key.as_bytes(), &signature, b"text"), true), "0 \u{8}\u{1}");
    let refused = ask(&arguments("sha256", key.as_bytes(), &signature, b"texts"), true);
    assert!(refused.contains("Failed to verify digital signature"), "{refused}");
}
