//! Keys as OpenSSL writes them.

use super::*;

const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUWuL+RILkBSjfSw332m3v5UbOHeYwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjEwNjQ3MDRaGA8yMTI2MTAyODA2NDcw
NFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLqw
naAzmUgvy/6lQ5XXlesZrVTpG8ZrOr0AXOYNFcWr9BkAvYTuQTa7QsDyDGhwV0Ap
IcOUi9qQ5ww9oLU3ChijUzBRMB0GA1UdDgQWBBTNOR9s2thUuDpCXzeYtjXTvxDP
9jAfBgNVHSMEGDAWgBTNOR9s2thUuDpCXzeYtjXTvxDP9jAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQC6fhVQ3KO/+51YgbeGCranBhiZ4J1jkfgk
1fMb0NXxFQIgLjaKFxieyb9HXdIwq/XQEuKVlmTj/oQ9btl+n0icITc=
-----END CERTIFICATE-----";
const P256_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEurCdoDOZSC/L/qVDldeV6xmtVOkb
xms6vQBc5g0Vxav0GQC9hO5BNrtCwPIMaHBXQCkhw5SL2pDnDD2gtTcKGA==
-----END PUBLIC KEY-----";
const P384_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE+LBrvKrhLoeh4HVmp7tSPfQ+RX4t22kW
eLQw2vKCcTB0CKDv/7b4/VIMTJhFOuEQWoHmAWuqtVNKR9D4d6fTLaBz0NViMvZO
oUq4AIq9oVNnac6c7gGuiiw+iyIeVBxJ
-----END PUBLIC KEY-----";
const P521_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBfMylSnptnB6mRJeeMInZ5mYdZx3+
KA2g5Q5gMZmNVattkqwVgzvsfWhomx12MlVpr9eBTZLXEhXkCKM+nC7FXewAq091
JdfOxvKimNc5yk/8Rjj59lxVIJsq5L91x9oVraprJ4jmGZ3eh3lqo21PBwLaZt7K
7uScWbdxlpNA6GJzONg=
-----END PUBLIC KEY-----";
const ED25519_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAvoVvvVAv1k0HFDZY+JtBNQmSnX72PBxOzNTGWwwTTGM=
-----END PUBLIC KEY-----";
const RSA_PKCS1: &str = "\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAk7dAGNRhV9wQVVMhiawUuKu6qdKsX8BrUBuZXpFEWc1QT93raixx
c98kO3kEC90uh80+sThqtDMBL2jE84c6FHiKVbZ7g1uYDFqnvhqPvc9jv53vz435
IKorEw6v86uUbYJrGRn2VdAaQXLhUkDi3IVFmIMzX8NitNkDNtSbdTEz8xo4mUt0
R3f1hyOUOErZklJ9NzV4vYCTENyswfuBejlIwkzaVnPTi3uMkqzOwFqqDqlaKDck
SPuFCoJVbnCpZBwK/lsLbdNduj/kDdvcfKd/KpUxIsWb1lOgbwHk+vIJdbBsOh47
hI7BqOpuHxEX4ujxJ2VmliKQ9NtZI+JLbQIDAQAB
-----END RSA PUBLIC KEY-----";
const RSA_SPKI: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAk7dAGNRhV9wQVVMhiawU
uKu6qdKsX8BrUBuZXpFEWc1QT93raixxc98kO3kEC90uh80+sThqtDMBL2jE84c6
FHiKVbZ7g1uYDFqnvhqPvc9jv53vz435IKorEw6v86uUbYJrGRn2VdAaQXLhUkDi
3IVFmIMzX8NitNkDNtSbdTEz8xo4mUt0R3f1hyOUOErZklJ9NzV4vYCTENyswfuB
ejlIwkzaVnPTi3uMkqzOwFqqDqlaKDckSPuFCoJVbnCpZBwK/lsLbdNduj/kDdvc
fKd/KpUxIsWb1lOgbwHk+vIJdbBsOh47hI7BqOpuHxEX4ujxJ2VmliKQ9NtZI+JL
bQIDAQAB
-----END PUBLIC KEY-----";
const RSA_1024: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCpSufxFV+bjC0hMnBV/0XCGHZg
z0azJniEkZkKokNbUopbR+x0u9bpnn/g3HXe2Wkna9waFa1biD+IsHTUbhGMxI94
WLBqMMi62fFQR6u2g7FPHV3oyIQx/TsG8bVxQroNBrtif8RalQIoxnN4KUqfoGmU
3BnuDc02j5hXOOCKUQIDAQAB
-----END PUBLIC KEY-----";

#[test]
fn keys_as_openssl_writes_them() {
    for (text, algorithm, expected) in [
        (P256_KEY, Algorithm::Es256, None),
        (CERTIFICATE, Algorithm::Es256, None),
        (P384_KEY, Algorithm::Es384, None),
        (ED25519_KEY, Algorithm::EdDsa, None),
        (RSA_PKCS1, Algorithm::Rs256, None),
        (RSA_SPKI, Algorithm::Ps512, None),
        (P256_KEY, Algorithm::Es384, Some("not a key for ES384")),
        (P384_KEY, Algorithm::Es256, Some("not a key for ES256")),
        (RSA_SPKI, Algorithm::Es256, Some("not a key for ES256")),
        (P521_KEY, Algorithm::Es384, Some("neither RSA, P-256, P-384 nor Ed25519")),
        (RSA_1024, Algorithm::Rs256, Some("an RSA modulus of 1024 bits")),
    ] {
        match (read(text, algorithm), expected) {
            (Ok(key), None) => assert!(key.serves(algorithm)),
            (Err(error), Some(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (outcome, expected) => panic!("{text}: {outcome:?} {expected:?}"),
        }
    }
    let der = |text, algorithm| read(text, algorithm).unwrap().spki_der().unwrap().to_vec();
    assert_eq!(der(CERTIFICATE, Algorithm::Es256), der(P256_KEY, Algorithm::Es256));
    assert_eq!(der(RSA_PKCS1, Algorithm::Rs256), der(RSA_SPKI, Algorithm::Rs256));
    assert_eq!(der(RSA_SPKI, Algorithm::Rs256), block(RSA_SPKI).unwrap().1);
}

#[test]
fn broken_blocks_are_refused() {
    for text in [
        "",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nMA==\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nMAMCAQA=\n-----END CERTIFICATE-----",
        "-----BEGIN X-----\nMA==\n-----END X-----",
        "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----",
    ] {
        assert!(read(text, Algorithm::Rs256).is_err(), "{text}");
    }
    // Cut anywhere, and with any one byte changed, it is an error or a key, and never anything else.
    let (_, whole) = block(CERTIFICATE).unwrap();
    let text = |der: &[u8]| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----", STANDARD.encode(der))
    };
    for cut in 0..whole.len().min(200) {
        assert!(read(&text(&whole[..cut]), Algorithm::Es256).is_err());
        let mut changed = whole.clone();
        changed[cut] ^= 0x81;
        let _ = read(&text(&changed), Algorithm::Es256);
    }
}
