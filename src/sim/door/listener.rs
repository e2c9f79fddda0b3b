//! An address that opens and closes. While it is closed it stays ours: connections are refused, and nobody
//! else can take the port. Closing breaks the connections that are open, as the end of a machine does.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// An address with a router behind it.
pub struct Door {
    address: SocketAddr,
    router: Router,
    state: State,
}

enum State {
    /// Bound, not listening.
    Closed(TcpSocket),
    Open {
        stop: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    },
    /// Between the two, or lost to another process.
    Nothing,
}

impl Door {
    /// Takes an address; port 0 takes a free one. Nothing listens yet.
    pub fn reserve(address: SocketAddr, router: Router) -> io::Result<Self> {
        let socket = bound(address)?;
        let address = socket.local_addr()?;
        Ok(Self { address, router, state: State::Closed(socket) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on.
    pub fn open(&mut self) -> io::Result<()> {
        let socket = match std::mem::replace(&mut self.state, State::Nothing) {
            State::Closed(socket) => socket,
            State::Nothing => bound(self.address)?,
            open @ State::Open { .. } => {
                self.state = open;
                return Ok(());
            }
        };
        let listener = socket.listen(1024)?;
        let stop = CancellationToken::new();
        let breaking = Breaking { listener, stop: stop.clone() };
        let router = self.router.clone();
        let ended = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                _ = axum::serve(breaking, router) => {}
                () = ended.cancelled() => {}
            }
        });
        self.state = State::Open { stop, task };
        Ok(())
    }

    /// Refuses connections from now on.
    pub async fn close(&mut self) -> io::Result<()> {
        if let State::Open { stop, task } = std::mem::replace(&mut self.state, State::Nothing) {
            stop.cancel();
            // The listener is gone once its task has ended.
            let _ = task.await;
        }
        if matches!(self.state, State::Nothing) {
            self.state = State::Closed(bound(self.address)?);
        }
        Ok(())
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the last opening may still be winding down.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

struct Breaking {
    listener: TcpListener,
    stop: CancellationToken,
}

impl Listener for Breaking {
    type Io = Breakable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let _ = stream.set_nodelay(true);
        (Breakable { stream, stopped: Box::pin(self.stop.clone().cancelled_owned()) }, peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        TcpListener::local_addr(&self.listener)
    }
}

/// A connection that breaks when its door closes.
struct Breakable {
    stream: TcpStream,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Breakable {
    fn broken(&mut self, context: &mut Context<'_>) -> bool {
        Future::poll(self.stopped.as_mut(), context).is_ready()
    }
}

impl AsyncRead for Breakable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.broken(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
