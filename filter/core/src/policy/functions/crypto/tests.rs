//! Digests, as OPA gives them.

use serde_json::json;

use crate::policy::functions::tests::both;

#[test]
fn digests_are_opas() {
    let x = |count: usize| "x".repeat(count);
    for (expression, expected) in [
        ("crypto.md5(\"lorem ipsum\")", "80a751fde577028640c419000e33eba6"),
        ("crypto.md5(\"\")", "d41d8cd98f00b204e9800998ecf8427e"),
        ("crypto.md5(input.x56)", "668a72d5ba17f08e62dabcafad6db14b"),
        ("crypto.md5(input.x119)", "ab347a5f68c8a443cfcddc633f12c24f"),
        ("crypto.sha1(\"lorem ipsum\")", "bfb7759a67daeb65410490b4d98bb9da7d1ea2ce"),
        ("crypto.sha1(\"\")", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("crypto.sha1(input.x119)", "4300320394f7ee239bcdce7d3b8bcee173a0cd5c"),
        ("crypto.hmac.md5(\"m\", \"k\")", "ed7e724d3a91554aaa2043041d9c5305"),
        ("crypto.hmac.sha1(\"m\", \"k\")", "772b71c8a2997e768be01d9711e4a4f34a24ef33"),
        (
            "crypto.hmac.sha256(\"m\", \"k\")",
            "b60090e3052297aeb5a080889ce2fc4bca957e756faeb4df7d31800ca1e771ec",
        ),
        (
            "crypto.hmac.sha256(\"m\", input.x65)",
            "b7048cd21fba17360c7d1bad076d3791393ef5a6b6dc5f6cd716775ef657f285",
        ),
        (
            "crypto.hmac.sha512(\"m\", \"k\")",
            "94ec958658ae2d2e92ae742007904d439af3a5509156f6ad5bd0bab74868b4cbb7cbc817162b11e4aff59813415a730e9720fc5ff1d1015a1f7d1b67fb047d87",
        ),
        (
            "crypto.hmac.sha512(\"m\", input.x129)",
            "a6c63b0e99ed0cff35ad92f8f08d3f8c1a43009e018bd26e825d80c9f1f5017f7c0d970d04365f44b45130ba007cbde81a1021b987bb5c5e0137ef12835288a7",
        ),
    ] {
        let input = json!({"x56": x(56), "x65": x(65), "x119": x(119), "x129": x(129)});
        assert_eq!(both(expression, &input), json!(expected), "{expression}");
    }
}

#[test]
fn equality_and_what_is_no_text() {
    for (expression, expected) in [
        ("crypto.hmac.equal(\"abc\", input.a)", json!(true)),
        ("crypto.hmac.equal(\"abd\", input.a)", json!(false)),
        ("crypto.hmac.equal(\"ab\", input.a)", json!(false)),
        ("crypto.hmac.equal(\"\", \"\")", json!(true)),
        ("crypto.hmac.equal(1, input.a)", json!(null)),
        ("crypto.hmac.sha256(input.a, input.one)", json!(null)),
        ("crypto.md5(input.one)", json!(null)),
        ("crypto.sha1(input.one)", json!(null)),
    ] {
        assert_eq!(both(expression, &json!({"a": "abc", "one": 1})), expected, "{expression}");
    }
}
