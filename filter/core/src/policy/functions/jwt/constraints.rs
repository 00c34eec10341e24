//! `io.jwt.decode_verify`: signature, issuer, audience and times at once.

use regorus::Value;

use super::keys::read;
use super::verify::{Header, has_mac, spend, verify_with};
use super::{Stop, Token, base64url, failed, object};
use crate::keys::Algorithm;
use crate::policy::functions::crypto::Mac;
use crate::policy::surroundings::Surroundings;

/// What a token is held against.
#[derive(Default)]
struct Constraints {
    cert: Option<String>,
    secret: String,
    alg: String,
    iss: String,
    aud: String,
    /// Nanoseconds since the Unix epoch.
    time: Option<f64>,
}

/// `[true, header, payload]`, or `[false, {}, {}]`.
pub(in crate::policy::functions) fn decode_verify(
    arguments: &[Value],
    around: &mut Surroundings,
) -> Result<Option<Value>, Stop> {
    let [Value::String(token), constraints] = arguments else { return Ok(None) };
    let Some(constraints) = Constraints::parse(constraints) else { return Ok(None) };
    // Keys that are no keys are an error whatever the token says, and are read again for its algorithm.
    if let Some(cert) = &constraints.cert
        && read(cert, Algorithm::Rs256)?.is_none()
    {
        return Ok(None);
    }
    let time = match (constraints.time, around.now()) {
        (Some(time), _) => time,
        #[expect(clippy::cast_precision_loss, reason = "as OPA does")]
        (None, Some(now)) => now.0 as f64,
        (None, None) => return Err(failed("there is no clock".to_owned())),
    };
    let empty = || Value::new_object();
    let unverified = Value::from(vec![Value::Bool(false), empty(), empty()]);
    let verified = match constraints.open(token.to_string(), around)? {
        Opened::Malformed => return Ok(None),
        Opened::Unverified => None,
        Opened::Verified { header, payload } => match constraints.hold(&payload, time) {
            None => return Ok(None),
            Some(hold) => hold.then(|| Value::from(vec![Value::Bool(true), header, payload])),
        },
    };
    Ok(Some(verified.unwrap_or(unverified)))
}

enum Opened {
    Malformed,
    Unverified,
    Verified { header: Value, payload: Value },
}

impl Constraints {
    /// `None` for one that is unknown or not of its type, and unless there is one kind of key.
    fn parse(value: &Value) -> Option<Self> {
        let mut constraints = Self::default();
        for (name, value) in value.as_object().ok()?.iter() {
            let Value::String(name) = name else { return None };
            let text = || value.as_string().ok().map(|text| text.to_string());
            match name.as_ref() {
                "cert" => constraints.cert = Some(text()?),
                "secret" => constraints.secret = text()?,
                "alg" => constraints.alg = text()?,
                "iss" => constraints.iss = text()?,
                "aud" => constraints.aud = text()?,
                "time" => constraints.time = Some(number(value).filter(|time| *time >= 0.0)?),
                _ => return None,
            }
        }
        (constraints.cert.is_some() == constraints.secret.is_empty()).then_some(constraints)
    }

    /// Checks the signature of a token, and of the token in it.
    fn open(&self, mut text: String, around: &mut Surroundings) -> Result<Opened, Stop> {
        loop {
            let Some(token) = Token::split(&text, around)? else { return Ok(Opened::Malformed) };
            let Some(header) = token.header(around)? else { return Ok(Opened::Malformed) };
            let Some(read) = Header::of(&header) else { return Ok(Opened::Malformed) };
            if read.alg.is_empty() || read.is_critical || !(self.alg.is_empty() || self.alg == read.alg) {
                return Ok(Opened::Unverified);
            }
            let Some(signature) = base64url(token.signature) else { return Ok(Opened::Malformed) };
            if !self.verifies(&read, (&token, &signature), around)? {
                return Ok(Opened::Unverified);
            }
            let Some(payload) = base64url(token.payload) else { return Ok(Opened::Malformed) };
            if !read.cty.eq_ignore_ascii_case("JWT") {
                return Ok(match object(payload, around)? {
                    Some(payload) => Opened::Verified { header, payload },
                    None => Opened::Malformed,
                });
            }
            let Ok(inner) = String::from_utf8(payload) else { return Ok(Opened::Malformed) };
            text = inner;
        }
    }

    fn verifies(
        &self,
        header: &Header,
        signed: (&Token<'_>, &[u8]),
        around: &mut Surroundings,
    ) -> Result<bool, Stop> {
        let Some(cert) = &self.cert else {
            let Some(mac) = Mac::of_jwt(&header.alg) else { return Ok(false) };
            spend(around)?;
            return Ok(has_mac(signed.0, signed.1, &self.secret, mac));
        };
        if header.alg == "ES512" {
            return Err(failed("ES512 is not served".to_owned()));
        }
        let algorithm = Algorithm::parse(&header.alg).filter(|algorithm| *algorithm != Algorithm::Hs256);
        let Some(algorithm) = algorithm else { return Ok(false) };
        let keys = read(cert, algorithm)?.unwrap_or_default();
        verify_with(&keys, header, algorithm, signed, around)
    }

    /// Whether issuer, audience and times are as they have to be; `None` for a time that is no number.
    fn hold(&self, payload: &Value, time: f64) -> Option<bool> {
        let payload = payload.as_object().ok()?;
        let claim = |name: &str| payload.get(&Value::from(name));
        let is =
            |value: &Value, wanted: &str| matches!(value, Value::String(text) if text.as_ref() == wanted);
        if !self.iss.is_empty() && !claim("iss").is_some_and(|iss| is(iss, &self.iss)) {
            return Some(false);
        }
        let audience = match claim("aud") {
            None => self.aud.is_empty(),
            Some(Value::Array(listed)) => listed.iter().any(|aud| is(aud, &self.aud)),
            Some(aud) => is(aud, &self.aud),
        };
        if !audience {
            return Some(false);
        }
        let seconds = time / 1_000_000_000.0;
        if let Some(exp) = claim("exp")
            && seconds >= number(exp)?
        {
            return Some(false);
        }
        if let Some(nbf) = claim("nbf")
            && seconds < number(nbf)?
        {
            return Some(false);
        }
        Some(true)
    }
}

/// The double that is nearest; regorus gives one only where it is exact.
#[expect(clippy::cast_precision_loss, reason = "as OPA does")]
fn number(value: &Value) -> Option<f64> {
    value.as_f64().ok().or_else(|| value.as_i64().ok().map(|number| number as f64))
}
