//! A closed-loop load generator: each connection sends its next request when the answer to the last one is there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::upstream;

/// Requests that are sent one after the other, from the first again when all were sent.
pub(super) struct Requests {
    bytes: Vec<Vec<u8>>,
    next: AtomicUsize,
}

impl Requests {
    pub(super) fn new(bytes: Vec<Vec<u8>>) -> Self {
        Self { bytes, next: AtomicUsize::new(0) }
    }

    fn next(&self) -> Result<&[u8]> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let bytes = index.checked_rem(self.bytes.len()).and_then(|index| self.bytes.get(index));
        Ok(bytes.context("no requests")?)
    }
}

/// Sends `count` requests over `connections` connections; returns how long it took.
///
/// # Errors
/// When a connection breaks, or an answer has another status than 200 or is not the upstream's: a denial may have that status
/// too.
pub(super) fn run(port: u16, requests: &Requests, count: usize, connections: usize) -> Result<Duration> {
    let left = AtomicUsize::new(count);
    let begun = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| send_until_done(port, requests, &left))).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().map_err(|_| anyhow!("a load generator's thread panicked"))?
        })
    })?;
    Ok(begun.elapsed())
}

fn send_until_done(port: u16, requests: &Requests, left: &AtomicUsize) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    let mut body = Vec::new();
    let take = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        stream.write_all(requests.next()?)?;
        read_answer(&mut reader, &mut line, &mut body)?;
    }
    Ok(())
}

/// Reads one answer to its end, into buffers that are used again.
fn read_answer(reader: &mut impl BufRead, line: &mut String, body: &mut Vec<u8>) -> Result<()> {
    line.clear();
    reader.read_line(line)?;
    let status = line.trim_end().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(line)? == 0 {
            bail!("the connection was closed after `{status}`");
        }
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(("content-length", value)) = line.split_once(':') {
            length = value.trim().parse()?;
        }
    }
    body.clear();
    reader.take(length).read_to_end(body)?;
    if status.split(' ').nth(1) != Some("200") || !body.starts_with(upstream::ECHO) {
        bail!("answered `{status}`: {}", String::from_utf8_lossy(body));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Requests, read_answer, run};
    use crate::upstream;

    #[test]
    fn every_request_is_sent_and_answered() {
        let server = upstream::start().unwrap();
        let requests =
            Requests::new(vec![b"GET /a HTTP/1.1\r\n\r\n".to_vec(), b"GET /b HTTP/1.1\r\n\r\n".to_vec()]);
        run(server.port, &requests, 100, 3).unwrap();
        assert_eq!(requests.next.into_inner(), 100);
    }

    #[test]
    fn only_complete_answers_of_the_upstream_count() {
        for (answer, message) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"method\":", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"jsonrpc\"", Some("{\"jsonrpc\"")),
            ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", Some("`HTTP/1.1 403 Forbidden`: no")),
            ("HTTP/1.1 200 OK\r\n", Some("closed")),
            ("", Some("closed")),
        ] {
            let result = read_answer(&mut answer.as_bytes(), &mut String::new(), &mut Vec::new());
            match message {
                None => result.unwrap(),
                Some(message) => assert!(result.unwrap_err().to_string().contains(message), "{answer}"),
            }
        }
    }
}
