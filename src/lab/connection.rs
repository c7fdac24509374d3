//! Connections that can be cut. A server whose handlers always answer cannot show what a client does
//! when the answer is lost; the cut makes the next write fail, so the client sees its connection closed.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Cuts one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(Arc<AtomicU8>);

const CUT: u8 = 1;
const RESET: u8 = 2;

impl Cut {
    /// Nothing more is written to this connection.
    pub(super) fn cut(&self) {
        self.0.store(CUT, Ordering::Relaxed);
    }

    /// And the peer learns it as an error: TCP's reset in place of its end.
    pub(super) fn reset(&self) {
        self.0.store(RESET, Ordering::Relaxed);
    }

    fn check(&self, stream: &TcpStream) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            0 => return Ok(()),
            RESET => stream.set_zero_linger()?,
            _ => {}
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

/// A listener whose connections can be cut.
pub(super) struct CuttableListener(pub TcpListener);

/// One of them.
pub(super) struct Connection {
    stream: TcpStream,
    cut: Cut,
}

impl Listener for CuttableListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for the acknowledgement of earlier ones; without it they are only late.
        stream.set_nodelay(true).ok();
        (Connection { stream, cut: Cut::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, CuttableListener>> for Cut {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().cut.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.cut.check(&self.stream)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // After a reset is ordered nothing may end the connection in a better way.
        self.cut.check(&self.stream)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
