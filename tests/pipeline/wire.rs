//! What stands between cq and GitHub in a test: a path, TLS, a proxy. Each counts what passes.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A server that listens until the test program ends.
pub(crate) struct Front {
    /// `host:port`.
    pub(crate) address: String,
    /// How many requests or connections passed.
    pub(crate) seen: Arc<AtomicUsize>,
}

/// Serves each connection with `each`, on a thread of its own.
fn front<F, Served>(each: F) -> Front
where
    F: Fn(TcpStream, Arc<AtomicUsize>) -> Served + Send + 'static,
    Served: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(each(stream, Arc::clone(&counter)));
            }
        });
    });
    Front { address, seen }
}

/// An HTTP server whose API stands below `prefix`; git stands beside it, and nothing else at all.
pub(crate) fn prefixed(behind: &str, prefix: &'static str) -> Front {
    let behind = behind.to_owned();
    front(move |stream, seen| {
        let behind = behind.clone();
        async move {
            let mut client = BufReader::new(stream);
            let mut line = String::new();
            client.read_line(&mut line).await?;
            let mut words = line.split(' ');
            let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let inner = match path.strip_prefix(prefix) {
                Some(inner) => inner,
                None if path.contains(".git/") => path,
                None => {
                    let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    return client.get_mut().write_all(answer.as_bytes()).await;
                }
            };
            seen.fetch_add(1, Ordering::SeqCst);
            let mut server = TcpStream::connect(behind).await?;
            // One request a connection, so that only its first line needs to be looked at.
            server
                .write_all(format!("{method} {inner} HTTP/1.1\r\nconnection: close\r\n").as_bytes())
                .await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
    })
}

/// A certificate authority of one's own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }
}

/// Ends TLS for `host` and hands on what was inside.
pub(crate) fn tls(behind: &str, authority: &Authority, host: &str) -> Front {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let behind = behind.to_owned();
    front(move |stream, seen| {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        async move {
            let mut client = acceptor.accept(stream).await?;
            seen.fetch_add(1, Ordering::SeqCst);
            let mut server = TcpStream::connect(behind).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
    })
}

/// A proxy that only knows CONNECT, and one place: wherever a client wants to go, it gets there.
pub(crate) fn connect_proxy(behind: &str) -> Front {
    let behind = behind.to_owned();
    front(move |mut client, seen| {
        let behind = behind.clone();
        async move {
            // Byte by byte: what follows the empty line is not the proxy's.
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await?);
            }
            if !head.starts_with(b"CONNECT ") {
                return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n").await;
            }
            seen.fetch_add(1, Ordering::SeqCst);
            let mut server = TcpStream::connect(behind).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
    })
}
