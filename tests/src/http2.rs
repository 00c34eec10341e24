//! A client that speaks as much HTTP/2 (RFC 9113) as a test needs: one request a connection, and the status of its answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context, Result, bail, ensure};

use crate::http::{PATIENCE, Request};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// The largest frame that everybody takes.
const FRAME: usize = 16_384;

/// Sends a request, its body as fast as the proxy takes it, and gives the status of the answer.
///
/// # Errors
/// When there is no answer.
pub fn send(port: u16, request: &Request) -> Result<u16> {
    let mut connection = Connection::open(port)?;
    let mut fields = vec![
        (":method", request.method.as_str()),
        (":scheme", "http"),
        (":authority", &request.authority),
        (":path", &request.path),
    ];
    fields.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut block = Vec::new();
    for text in fields.into_iter().flat_map(|(name, value)| [None, Some(name), Some(value)]) {
        match text {
            // A literal with a new name that no table keeps (RFC 7541 section 6.2.2).
            None => block.push(0),
            Some(text) => literal(&mut block, text.as_bytes())?,
        }
    }
    let body = request.body.as_deref().unwrap_or_default();
    let end = if body.is_empty() { END_STREAM } else { 0 };
    connection.write(HEADERS, END_HEADERS | end, 1, &block)?;
    let mut rest = body;
    while !rest.is_empty() && connection.status.is_none() {
        let room = FRAME.min(connection.room_of_stream).min(connection.room);
        if room == 0 {
            connection.read()?;
            continue;
        }
        let (piece, after) = rest.split_at(room.min(rest.len()));
        connection.room = connection.room.saturating_sub(piece.len());
        connection.room_of_stream = connection.room_of_stream.saturating_sub(piece.len());
        connection.write(DATA, if after.is_empty() { END_STREAM } else { 0 }, 1, piece)?;
        rest = after;
    }
    loop {
        if let Some(status) = connection.status {
            return Ok(status);
        }
        connection.read()?;
    }
}

struct Connection {
    stream: TcpStream,
    /// What may be sent on the connection, and on the stream.
    room: usize,
    room_of_stream: usize,
    status: Option<u16>,
}

impl Connection {
    /// Opens one, and waits for the settings that the other side begins with.
    fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut connection = Self { stream, room: 65_535, room_of_stream: 65_535, status: None };
        connection.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        connection.write(SETTINGS, 0, 0, &[])?;
        while connection.read()? != SETTINGS {}
        Ok(connection)
    }

    fn write(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> Result<()> {
        ensure!(payload.len() <= FRAME, "{} bytes are too many for a frame", payload.len());
        let [_, length @ ..] = u32::try_from(payload.len())?.to_be_bytes();
        let head = [&length[..], &[kind, flags], &id.to_be_bytes()].concat();
        Ok(self.stream.write_all(&[&head, payload].concat())?)
    }

    /// Reads a frame, and says of which kind it was.
    fn read(&mut self) -> Result<u8> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).context("no frame")?;
        let [a, b, c, kind, flags, id @ ..] = head;
        let id = u32::from_be_bytes(id);
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c]))?];
        self.stream.read_exact(&mut payload).context("a frame that ends early")?;
        match kind {
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.as_chunks::<6>().0 {
                    let [0, 4, value @ ..] = *setting else { continue };
                    self.room_of_stream = usize::try_from(u32::from_be_bytes(value))?;
                }
                self.write(SETTINGS, ACK, 0, &[])?;
            }
            WINDOW_UPDATE => {
                let more = payload.first_chunk().map_or(0, |more| u32::from_be_bytes(*more));
                let room = if id == 0 { &mut self.room } else { &mut self.room_of_stream };
                *room = room.saturating_add(usize::try_from(more)?);
            }
            HEADERS => self.status = Some(status(&payload)?),
            RST_STREAM | GOAWAY if self.status.is_none() => {
                bail!("the stream ends without an answer: {payload:?}")
            }
            _ => {}
        }
        Ok(kind)
    }
}

fn literal(block: &mut Vec<u8>, text: &[u8]) -> Result<()> {
    // An integer with a prefix of 7 bits (RFC 7541 section 5.1).
    let mut rest = text.len();
    if rest < 127 {
        block.push(u8::try_from(rest)?);
    } else {
        block.push(127);
        rest = rest.saturating_sub(127);
        while rest >= 128 {
            block.push(u8::try_from(rest % 128)? | 128);
            rest /= 128;
        }
        block.push(u8::try_from(rest)?);
    }
    block.extend_from_slice(text);
    Ok(())
}

/// The status is the first field: in the static table (RFC 7541 appendix A), or three digits with its name from there.
fn status(block: &[u8]) -> Result<u16> {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    match block {
        [first @ 0x88..=0x8e, ..] => {
            INDEXED.get(usize::from(first & 0x0f).saturating_sub(8)).copied().context("not reached")
        }
        [0x48 | 0x08 | 0x18, 3, digits @ ..] => {
            let digits = digits.first_chunk::<3>().context("a status of fewer than three digits")?;
            Ok(std::str::from_utf8(digits)?.parse()?)
        }
        _ => bail!("not a status first: {block:?}"),
    }
}
