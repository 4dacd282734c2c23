//! Bad days on demand: outages that a test asks for. Not durable; a restart brings good weather.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What happens to one answer of the hub.
#[derive(Debug, Clone, PartialEq)]
pub enum Mishap {
    /// The call takes effect, but the connection breaks in the middle of its answer.
    CutAnswer,
    /// The call is not executed; an HTTP error comes instead, as from a proxy.
    Status(u16),
    /// The call takes effect, but its answer claims to be HTML.
    WrongContentType,
    /// The call is executed late.
    Delay(Duration),
    /// The call is refused with this fault, and not executed. One inside a multiCall is refused alone.
    Fault(i64, String),
}

#[derive(Debug, Default)]
struct State {
    offline: Option<String>,
    cut_until: Option<Instant>,
    mishaps: VecDeque<(Option<String>, Mishap)>,
}

/// Shared by the control methods and the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weather(Arc<Mutex<State>>);

impl Weather {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_offline(&self, reason: Option<String>) {
        self.state().offline = reason;
    }

    pub(crate) fn offline(&self) -> Option<String> {
        self.state().offline.clone()
    }

    pub(crate) fn cut_for(&self, time: Duration) {
        self.state().cut_until = Some(Instant::now() + time);
    }

    fn is_cut(&self) -> bool {
        self.state().cut_until.is_some_and(|until| Instant::now() < until)
    }

    pub(crate) fn add_mishap(&self, method: Option<String>, mishap: Mishap) {
        self.state().mishaps.push_back((method, mishap));
    }

    pub(crate) fn forget_mishaps(&self) {
        self.state().mishaps.clear();
    }

    /// The mishap that is due for a call, if any; it happens once.
    pub(crate) fn mishap(&self, method: &str) -> Option<Mishap> {
        let mut state = self.state();
        let place = state
            .mishaps
            .iter()
            .position(|(wanted, _)| wanted.as_deref().is_none_or(|wanted| wanted == method))?;
        state.mishaps.remove(place).map(|(_, mishap)| mishap)
    }

    /// The fault that is due for a call of this method inside a multiCall, if any; it happens once.
    pub(crate) fn fault_within(&self, method: &str) -> Option<(i64, String)> {
        let mut state = self.state();
        let place = state.mishaps.iter().position(|(wanted, mishap)| {
            wanted.as_deref() == Some(method) && matches!(mishap, Mishap::Fault(..))
        })?;
        match state.mishaps.remove(place) {
            Some((_, Mishap::Fault(code, text))) => Some((code, text)),
            _ => None,
        }
    }
}

/// A listener whose connections break while the weather says so.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) inner: TcpListener,
    pub(crate) weather: Weather,
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Connection, Self::Addr) {
        let (inner, address) = axum::serve::Listener::accept(&mut self.inner).await;
        (Connection { inner, weather: self.weather.clone() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// A connection that can break.
#[derive(Debug)]
pub(crate) struct Connection {
    inner: TcpStream,
    weather: Weather,
}

fn broken() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.weather.is_cut() {
            return Poll::Ready(Err(broken()));
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.weather.is_cut() {
            return Poll::Ready(Err(broken()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
