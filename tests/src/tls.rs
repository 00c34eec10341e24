//! Mutual TLS in front of the proxy: certificates for one test, and a client that shows one of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

use crate::http::{Answer, Request, read_answer};

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
const DAYS: [&str; 2] = ["-days", "2"];

/// Certificates in a folder: an authority, a server, and clients.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them with `openssl`; clients are named as here.
    ///
    /// # Errors
    /// When there is no `openssl`, or it fails.
    pub fn make(folder: &Path, clients: &[&str]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let made = Self { folder: folder.to_owned() };
        let self_signed = [&["req", "-x509"][..], &KEY, &DAYS, &["-subj", "/CN=authority"]].concat();
        made.openssl(&[&self_signed[..], &["-keyout", "ca.key", "-out", "ca.pem"]].concat())?;
        for name in [&["server"], clients].concat() {
            made.issue(name, None)?;
        }
        Ok(made)
    }

    /// Makes a further certificate, with a subject's alternative name such as `URI:spiffe://a/b`.
    ///
    /// # Errors
    /// When `openssl` fails.
    pub fn issue(&self, name: &str, alternative: Option<&str>) -> Result<()> {
        let (request, subject) = (format!("{name}.csr"), format!("/CN={name}"));
        let (own_key, own) = (format!("{name}.key"), format!("{name}.pem"));
        let asked = [&["req", "-new"][..], &KEY, &["-subj", &subject]].concat();
        self.openssl(&[&asked[..], &["-keyout", &own_key, "-out", &request]].concat())?;
        let signed =
            ["x509", "-req", "-in", &request, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        let mut arguments = [&signed[..], &DAYS, &["-out", &own]].concat();
        let extension = format!("{name}.ext");
        if let Some(alternative) = alternative {
            fs::write(self.folder.join(&extension), format!("subjectAltName={alternative}\n"))?;
            arguments.extend(["-extfile", &extension]);
        }
        self.openssl(&arguments)?;
        Ok(())
    }

    /// The certificate of a client in DER.
    ///
    /// # Errors
    /// When there is none.
    pub fn der(&self, client: &str) -> Result<Vec<u8>> {
        let certificate = format!("{client}.pem");
        Ok(self.openssl(&["x509", "-in", &certificate, "-outform", "DER"])?.stdout)
    }

    /// The certificate of a client in PEM.
    ///
    /// # Errors
    /// When there is none.
    pub fn pem(&self, client: &str) -> Result<String> {
        Ok(fs::read_to_string(self.folder.join(format!("{client}.pem")))?)
    }

    /// Envoy's part: a chain that shows the server's certificate and asks for the client's, which need not come.
    #[must_use]
    pub fn transport_socket(&self) -> String {
        let file = |name: &str| format!("{{ filename: {:?} }}", self.folder.join(name).to_string_lossy());
        format!(
            "transport_socket: {{ name: envoy.transport_sockets.tls, typed_config: {{ \
             \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, \
             require_client_certificate: false, common_tls_context: {{ \
             tls_certificates: [{{ certificate_chain: {}, private_key: {} }}], \
             validation_context: {{ trusted_ca: {} }} }} }} }}",
            file("server.pem"),
            file("server.key"),
            file("ca.pem"),
        )
    }

    /// Sends a request over TLS with `curl`, with the certificate of a client or none.
    ///
    /// # Errors
    /// When there is no `curl`, or no whole answer.
    pub fn send(&self, port: u16, client: Option<&str>, request: &Request) -> Result<Answer> {
        let mut curl = Command::new("curl");
        curl.current_dir(&self.folder).args(["--silent", "--show-error", "--include", "--http1.1"]);
        curl.args(["--max-time", "15", "--insecure", "--connect-to"]);
        curl.arg(format!("::127.0.0.1:{port}")).args(["--request", &request.method]);
        if let Some(client) = client {
            curl.args(["--cert", &format!("{client}.pem"), "--key", &format!("{client}.key")]);
        }
        for (name, value) in &request.headers {
            curl.args(["--header", &format!("{name}: {value}")]);
        }
        let host = format!("host: {}", request.authority);
        curl.args(["--header", &host, &format!("https://server{}", request.path)]);
        let output = curl.output().context("failed to run curl")?;
        ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        read_answer(output.stdout.as_slice())
    }

    fn openssl(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new("openssl");
        let output = command.current_dir(&self.folder).args(arguments).output();
        let output = output.context("failed to run openssl")?;
        ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }
}
