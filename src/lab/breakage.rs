//! How an answer is broken on the wire.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::{Compress, Compression, Crc, FlushCompress};
use serde_json::Value;
use tokio::time::Sleep;

use super::admit;
use super::connection::Cut;
use super::faults::Fault;
use super::server::Shared;

/// Does to a request what its fault says.
pub(super) async fn answer(lab: &Shared, cut: &Cut, fault: &Fault, request: Request) -> Response {
    if fault.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    let needs_answer = fault.status.is_none() && fault.redirect_to.is_none() && fault.alters();
    let mut done = None;
    if fault.after_effect || needs_answer {
        done = Some(admit::answer(lab, request).await);
    }
    if fault.hang {
        std::future::pending::<()>().await;
    }
    if fault.reset {
        cut.reset();
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut response = match (scripted(fault), done) {
        (Some(response), _) => response,
        (None, Some(response)) if needs_answer => response,
        _ => {
            cut.cut();
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    for (name, value) in &fault.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    if let Some(seconds) = fault.date_skew_s {
        let date = lab.now() + chrono::TimeDelta::seconds(seconds);
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::try_from(date) {
            response.headers_mut().insert(header::DATE, date);
        }
    }
    wire(fault, response).await
}

/// The answer of the fault itself.
fn scripted(fault: &Fault) -> Option<Response> {
    let usual = fault.redirect_to.is_some().then_some(302);
    let status = StatusCode::from_u16(fault.status.or(usual)?).ok()?;
    let body = match &fault.body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let kind = if fault.body.is_string() { "text/html" } else { "application/json; charset=utf-8" };
    let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
    if let Some(place) = fault.redirect_to.as_ref().and_then(|place| HeaderValue::try_from(place).ok()) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Some(response)
}

/// Compresses, cuts off, or sends byte by byte.
async fn wire(fault: &Fault, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let mut bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    if fault.gzip_bomb {
        bytes = Bytes::from(bomb());
    } else if fault.gzip {
        bytes = Bytes::from(gzip(&bytes));
    }
    if fault.gzip || fault.gzip_bomb {
        parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let end = fault.truncate.map(|length| length.min(bytes.len()));
    let broken = end.is_some();
    bytes.truncate(end.unwrap_or(bytes.len()));
    if !broken && fault.drip_ms == 0 {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let pause = Duration::from_millis(fault.drip_ms);
    Response::from_parts(parts, Body::new(Slow { left: bytes, pause, sleep: None, broken }))
}

/// A body that comes slowly, or ends too early.
struct Slow {
    left: Bytes,
    /// Between two bytes; zero sends all at once.
    pause: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    /// What is there is not all.
    broken: bool,
}

impl HttpBody for Slow {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        let pause = self.pause;
        if self.left.is_empty() {
            if !self.broken {
                return Poll::Ready(None);
            }
            // Once more round the loop, so that what is there goes out before the connection ends.
            let sleep =
                self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(50))));
            ready!(sleep.as_mut().poll(cx));
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if pause.is_zero() {
            let all = std::mem::take(&mut self.left);
            return Poll::Ready(Some(Ok(http_body::Frame::data(all))));
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        let byte = self.left.split_to(1);
        Poll::Ready(Some(Ok(http_body::Frame::data(byte))))
    }
}

const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// How large the bomb becomes: 200 times [`PIECE`].
const PIECES: usize = 200;
const PIECE: usize = 1 << 20;

/// Some bytes as gzip (RFC 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(bytes);
    let mut out = HEAD.to_vec();
    out.extend(deflate(bytes, FlushCompress::Finish));
    out.extend(crc.sum().to_le_bytes());
    out.extend(crc.amount().to_le_bytes());
    out
}

fn deflate(bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1024);
    // A vector that has room for all takes all at once.
    Compress::new(Compression::best(), false).compress_vec(bytes, &mut out, flush).ok();
    out
}

/// 200 MB of spaces, in about a thousandth of that: one piece, flushed, many times over.
fn bomb() -> Vec<u8> {
    let piece = vec![b' '; PIECE];
    let mut crc_of_one = Crc::new();
    crc_of_one.update(&piece);
    let block = deflate(&piece, FlushCompress::Full);
    let (mut out, mut crc) = (HEAD.to_vec(), Crc::new());
    for _ in 0..PIECES {
        out.extend(&block);
        crc.combine(&crc_of_one);
    }
    // A last block with nothing in it.
    out.extend([3, 0]);
    out.extend(crc.sum().to_le_bytes());
    out.extend(crc.amount().to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_compressed_comes_out_again() {
        let mut text = String::new();
        let packed = gzip(b"{\"number\":7}");
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"number\":7}");
    }

    #[test]
    fn a_bomb_is_small_until_it_is_opened() {
        let packed = bomb();
        assert!(packed.len() < PIECE, "{}", packed.len());
        let mut opened = vec![0; 3 * PIECE];
        flate2::read::GzDecoder::new(&packed[..]).read_exact(&mut opened).unwrap();
        assert!(opened.iter().all(|byte| *byte == b' '));
    }
}
