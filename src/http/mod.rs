//! HTTP over a transport: sockets, or a router in memory. Nothing here knows who is spoken to.

mod memory;
mod request;
mod socket;
mod tls;

pub use memory::Memory;
pub use request::{Distrust, HttpError, Request, Response, Transport};
pub use socket::Sockets;
pub use tls::{Tls, TlsError};
