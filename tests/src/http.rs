//! A client that sends exactly the bytes that a test wants, malformed ones included.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The longest that a test waits for a byte of an answer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A request, as HTTP/1.1 will carry it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: String,
    /// For the `host` header.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Names and values, in order; neither `host` nor what frames the body.
    pub headers: Vec<(String, String)>,
    /// The body; `None` for a request that ends with its headers.
    pub body: Option<Vec<u8>>,
    /// The size of the chunks; `None` for a body with `content-length`.
    pub chunk: Option<usize>,
}

impl Request {
    /// A request without headers and body.
    #[must_use]
    pub fn new(method: &str, authority: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            chunk: None,
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this token as its bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// With its body in chunks of this size, each sent by itself, and no `content-length`.
    #[must_use]
    pub fn chunked(mut self, size: usize) -> Self {
        self.chunk = Some(size.max(1));
        self
    }

    /// The head, up to and with the empty line.
    #[must_use]
    pub fn head(&self) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.authority);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match (&self.body, self.chunk) {
            (None, _) => {}
            (Some(_), Some(_)) => head.push_str("transfer-encoding: chunked\r\n"),
            (Some(body), None) => head.push_str(&format!("content-length: {}\r\n", body.len())),
        }
        head.push_str("\r\n");
        head
    }

    /// What goes over the wire, in the pieces in which it goes.
    #[must_use]
    pub fn pieces(&self) -> Vec<Vec<u8>> {
        let mut pieces = vec![self.head().into_bytes()];
        match (&self.body, self.chunk) {
            (None, _) => {}
            (Some(body), None) => pieces.push(body.clone()),
            (Some(body), Some(size)) => {
                for chunk in body.chunks(size) {
                    let mut piece = format!("{:x}\r\n", chunk.len()).into_bytes();
                    piece.extend_from_slice(chunk);
                    piece.extend_from_slice(b"\r\n");
                    pieces.push(piece);
                }
                pieces.push(b"0\r\n\r\n".to_vec());
            }
        }
        pieces
    }
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, without its chunking.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends a request on a connection of its own.
///
/// # Errors
/// When there is no whole answer in time.
pub fn send(port: u16, request: &Request) -> Result<Answer> {
    send_pieces(port, request.pieces())
}

/// Sends bytes on a connection of its own, each piece by itself, and reads one answer meanwhile.
///
/// # Errors
/// When there is no whole answer in time.
pub fn send_pieces(port: u16, pieces: Vec<Vec<u8>>) -> Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("failed to connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let reader = BufReader::new(stream.try_clone()?);
    // An early answer closes the other side's ear: that the rest cannot be written is then no error.
    let writing = thread::spawn(move || {
        for piece in pieces {
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        stream
    });
    let answer = read_answer(reader);
    drop(writing.join());
    answer
}

/// Reads one answer; interim ones are skipped.
///
/// # Errors
/// When the stream ends early or is not HTTP/1.1.
pub fn read_answer(mut reader: impl BufRead) -> Result<Answer> {
    loop {
        let first = line(&mut reader)?;
        let status: u16 =
            first.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status line")?;
        let mut headers = Vec::new();
        loop {
            let line = line(&mut reader)?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').context("a header without a colon")?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        answer.body = read_body(&mut reader, &answer)?;
        return Ok(answer);
    }
}

fn read_body(reader: &mut impl BufRead, answer: &Answer) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    if matches!(answer.status, 101 | 204 | 304) {
        return Ok(body);
    }
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let size = u64::from_str_radix(line(reader)?.trim(), 16).context("a chunk without a size")?;
            let mut chunk = Vec::new();
            reader.take(size).read_to_end(&mut chunk)?;
            body.extend(chunk);
            line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match answer.header("content-length") {
        Some(length) => {
            let length: u64 = length.parse().context("content-length")?;
            reader.take(length).read_to_end(&mut body)?;
            if u64::try_from(body.len())? < length {
                bail!("closed after {} of {length} bytes", body.len());
            }
        }
        None => drop(reader.read_to_end(&mut body)?),
    }
    Ok(body)
}

fn line(reader: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line).context("no answer in time")? == 0 {
        bail!("closed without a whole answer");
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
