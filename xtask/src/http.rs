//! Small HTTP/1.1: a server on plain threads (keep-alive, chunked requests, no answer on purpose) and a GET.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A request as it arrived.
#[derive(Debug)]
pub struct Request {
    /// The method, as sent.
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The whole body, without its chunking.
    pub body: Vec<u8>,
}

/// What to do with a request.
#[derive(Debug)]
pub enum Reply {
    /// An answer; `content-length` is added.
    Answer {
        /// The status code.
        status: u16,
        /// Headers, of ISO 8859-1.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Close the connection without an answer.
    Reset,
}

/// A server on a free port of the loopback interface, until the process ends.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Where it listens.
    pub port: u16,
}

impl Server {
    /// Serves every connection on a thread of its own.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(handler: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("failed to bind a port")?;
        let port = listener.local_addr()?.port();
        let handler = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let handler = Arc::clone(&handler);
                // A connection that breaks is the other side's affair.
                thread::spawn(move || serve(stream, handler.as_ref()).ok());
            }
        });
        Ok(Self { port })
    }
}

fn serve(stream: TcpStream, handler: &dyn Fn(Request) -> Reply) -> Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        let Reply::Answer { status, headers, body } = handler(request) else {
            return Ok(());
        };
        let mut head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut answer: Vec<u8> = head.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect();
        answer.extend(body);
        writer.write_all(&answer)?;
    }
    Ok(())
}

/// The next request of a connection; `None` when the other side has closed it.
fn read_request(reader: &mut impl BufRead) -> Result<Option<Request>> {
    let Some(first) = read_line(reader)? else { return Ok(None) };
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { bail!("no request line: {first}") };
    let headers = read_headers(reader)?;
    let body = read_body(reader, &headers)?;
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), headers, body }))
}

/// Asks a server of this host for a page; returns the status code and the body.
///
/// # Errors
/// When there is no whole answer within 5 s.
pub fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let first = read_line(&mut reader)?.context("closed without an answer")?;
    let status = first.split(' ').nth(1).context("no status line")?.parse().context("no status code")?;
    let headers = read_headers(&mut reader)?;
    let body = read_body(&mut reader, &headers)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn read_headers(reader: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?.context("closed in the headers")?;
        if line.is_empty() {
            return Ok(headers);
        }
        let (name, value) = line.split_once(':').with_context(|| format!("not a header: {line}"))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(reader: &mut impl BufRead, headers: &[(String, String)]) -> Result<Vec<u8>> {
    let header =
        |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return read_chunks(reader);
    }
    read_exactly(reader, header("content-length").map_or(Ok(0), str::parse).context("content-length")?)
}

fn read_chunks(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(reader)?.context("closed between chunks")?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).with_context(|| format!("not a chunk's size: {line}"))?;
        if size == 0 {
            break;
        }
        body.extend(read_exactly(reader, size)?);
        read_line(reader)?;
    }
    // Trailers, and the empty line that ends them.
    while read_line(reader)?.is_some_and(|line| !line.is_empty()) {}
    Ok(body)
}

fn read_exactly(reader: &mut impl BufRead, length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = reader.take(length).read_to_end(&mut bytes)?;
    if u64::try_from(read)? < length {
        bail!("closed after {read} of {length} bytes");
    }
    Ok(bytes)
}

/// A line without its end; `None` at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(1 << 20).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Reply, Server, get, read_request};

    #[test]
    fn a_page_is_served_and_read() {
        let server = Server::start(|request| match request.path.as_str() {
            "/reset" => Reply::Reset,
            path => Reply::Answer { status: 404, headers: vec![("a", "b".into())], body: path.into() },
        })
        .unwrap();
        assert_eq!(get(server.port, "/a").unwrap(), (404, "/a".to_owned()));
        assert!(get(server.port, "/reset").is_err());
    }

    #[test]
    fn requests_are_read_with_either_kind_of_body() {
        for (bytes, expected) in [
            ("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", Some(("GET", "/a?b=c", ""))),
            ("POST /a HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi", Some(("POST", "/a", "hi"))),
            (
                "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhi\r\n1\r\n!\r\n0\r\na: b\r\n\r\n",
                Some(("POST", "/a", "hi!")),
            ),
            ("", None),
        ] {
            let request = read_request(&mut bytes.as_bytes()).unwrap();
            let read = request.map(|r| (r.method, r.path, String::from_utf8(r.body).unwrap()));
            let read = read.as_ref().map(|(m, p, b)| (m.as_str(), p.as_str(), b.as_str()));
            assert_eq!(read, expected, "{bytes}");
        }
    }

    #[test]
    fn broken_requests_are_errors() {
        for bytes in [
            "GET\r\n\r\n",
            "GET / HTTP/1.1\r\nnot a header\r\n\r\n",
            "GET / HTTP/1.1\r\ncut: off\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhi",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(read_request(&mut bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
