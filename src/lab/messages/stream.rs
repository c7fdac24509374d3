//! A body of server-sent events that can pause, and stay open.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::time::Sleep;

use super::answer::Piece;

/// A client that hears nothing for long gives up; the API sends pings, and so do streams that hang.
const PING_EVERY: Duration = Duration::from_secs(5);

/// What is left to be sent.
pub(super) struct Stream {
    left: VecDeque<Piece>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(super) fn new(pieces: Vec<Piece>) -> Self {
        Self { left: pieces.into(), sleep: None }
    }

    fn slept(&mut self, cx: &mut Context<'_>, time: Duration) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}

/// One event; its name is its data's type.
fn event(data: &Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or("message");
    format!("event: {name}\ndata: {data}\n\n").into()
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        loop {
            match self.left.front() {
                None => return Poll::Ready(None),
                Some(Piece::Hang) => {
                    ready!(self.slept(cx, PING_EVERY));
                    return Poll::Ready(Some(Ok(Frame::data(event(&json!({"type": "ping"}))))));
                }
                Some(Piece::Wait(time)) => {
                    let time = *time;
                    ready!(self.slept(cx, time));
                    self.left.pop_front();
                }
                Some(Piece::Event(data)) => {
                    let bytes = event(data);
                    self.left.pop_front();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            }
        }
    }
}
