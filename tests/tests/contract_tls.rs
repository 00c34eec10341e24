//! What a policy sees of mutual TLS in real Envoy, with Remit and beside the real opa-envoy-plugin.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use remit_tests::contract::{Case, Group, Pair, PairOptions};
use remit_tests::http::Request;
use remit_tests::tls::Certificates;
use serde_json::{Value, json};
use xtask::go::OPA_ENVOY_PLUGIN;

/// Tells all of it that is the same for two connections.
const POLICY: &str = r#"package envoy.authz

import rego.v1

seen contains ["source", object.remove(input.attributes.source, ["address"])]

seen contains ["destination", object.remove(input.attributes.destination, ["address"])]

seen contains ["source_principal", input.source_principal]

seen contains ["tlsSession", input.attributes.tlsSession]

allow := {"allowed": false, "body": json.marshal(seen)}
"#;

#[test]
fn policies_see_of_client_certificates_what_ext_authz_gives() {
    let folder = xtask::workspace::target_dir().join("e2e").join(format!("seen-tls-{}", std::process::id()));
    let certificates = Certificates::make(&folder, &["subject"]).unwrap();
    certificates.issue("uri", Some("URI:spiffe://cluster.example/agent,DNS:agent.example")).unwrap();
    certificates.issue("dns", Some("DNS:agent.example,DNS:other.example")).unwrap();
    // Envoy knows which server a client names once the listener has looked; without that the module does not see it, and
    // ext_authz does.
    for inspects_tls in [false, true] {
        let certificates = &certificates;
        let plugin = OPA_ENVOY_PLUGIN.find_or_skip();
        let compares = plugin.is_some();
        let request = Request::new("GET", "app.example", "/");
        let case = Case {
            name: "tls".to_owned(),
            policy: POLICY.to_owned(),
            config: serde_json::Map::new(),
            request: request.clone(),
            expect: Value::Null,
            beside: None,
            needs_proxy: true,
        };
        let group = Group { number: 0, cases: vec![case] };
        let transport_socket = Some(certificates.transport_socket());
        let groups = [group];
        let options = PairOptions { name: "contract-tls", plugin, transport_socket, inspects_tls };
        let pair = Pair::start(&options, &groups).unwrap();
        let [group] = &groups;
        let seen = |kind: &str, client: Option<&str>, request: &Request| {
            let answer = certificates.send(pair.port(kind, group).unwrap(), client, request).unwrap();
            let seen: Vec<(String, Value)> = serde_json::from_slice(&answer.body)
                .unwrap_or_else(|_| panic!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)));
            Value::Object(seen.into_iter().collect())
        };
        // A client's own word about its certificate.
        let forged = Request::new("GET", "app.example", "/")
            .header("x-forwarded-client-cert", &format!("Cert=\"{}\"", encoded(certificates, "uri")));
        for (client, principal) in [
            (Some("uri"), "spiffe://cluster.example/agent"),
            (Some("dns"), "agent.example"),
            (Some("subject"), "CN=subject"),
            (None, ""),
        ] {
            for request in [&request, &forged] {
                let mut ours = seen("remit", client, request);
                let named = json!({"sni": "server"});
                assert_eq!(ours.get("tlsSession"), inspects_tls.then_some(&named), "{ours}");
                let mut expected =
                    json!({"destination": {"principal": "CN=server", "labels": {"app": "contract"}}});
                if let Some(client) = client {
                    let source =
                        json!({"principal": principal, "certificate": encoded(certificates, client)});
                    expected["source"] = source;
                    expected["source_principal"] = json!(principal);
                }
                let source = ours["source"].clone();
                if client.is_none() {
                    assert!(source.is_null() || source == json!({}), "{ours}");
                    assert_eq!(ours.get("source_principal"), None, "{ours}");
                } else {
                    if inspects_tls {
                        expected["tlsSession"] = named.clone();
                    }
                    assert_eq!(ours, expected, "{client:?}");
                }
                if compares {
                    ours["tlsSession"] = named;
                    assert_eq!(seen("opa", client, request), ours, "{client:?}");
                }
            }
        }
        pair.finish().unwrap();
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// A certificate as Envoy encodes it.
fn encoded(certificates: &Certificates, client: &str) -> String {
    let mut encoded = String::new();
    for c in certificates.pem(client).unwrap().chars() {
        match c {
            '\n' => encoded.push_str("%0A"),
            ' ' => encoded.push_str("%20"),
            '+' => encoded.push_str("%2B"),
            '/' => encoded.push_str("%2F"),
            '=' => encoded.push_str("%3D"),
            other => encoded.push(other),
        }
    }
    encoded
}
