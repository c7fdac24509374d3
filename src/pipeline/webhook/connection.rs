//! Connections with an end: few at a time, each for one request, each cut when its time is over, so that neither
//! slow senders nor many can keep the others out for long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// At the same time; more wait to be accepted.
const CONNECTIONS: usize = 128;
/// For the headers, from the start of the connection.
const HEAD: Duration = Duration::from_secs(4);
/// For everything, from the start of the connection: GitHub waits for ten seconds.
const WHOLE: Duration = Duration::from_millis(9500);

/// Who is at the other end, and since when.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// When the connection was accepted.
    pub(super) since: Instant,
    heard: Arc<AtomicBool>,
}

impl Peer {
    /// The headers are in: from now on the time for the whole counts.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }
}

/// A listener of such connections.
pub(super) struct BoundedListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl BoundedListener {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS)) }
    }
}

/// One of them.
pub(super) struct Connection {
    stream: TcpStream,
    peer: Peer,
    end: Pin<Box<Sleep>>,
    /// Given back when the connection ends; none only where there are no places to give.
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// An error once the time is over.
    fn in_time(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let whole = self.peer.since + WHOLE;
        if self.peer.heard.load(Ordering::Relaxed) && self.end.deadline() != whole {
            self.end.as_mut().reset(whole);
        }
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let place = self.places.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        stream.set_nodelay(true).ok();
        let peer = Peer { address, since: Instant::now(), heard: Arc::default() };
        let end = Box::pin(sleep_until(peer.since + HEAD));
        (Connection { stream, peer, end, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, BoundedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener>) -> Self {
        stream.io().peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
