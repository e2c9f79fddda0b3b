//! HTTP over a transport: sockets, or a router in memory. Nothing here knows who is spoken to.

mod memory;
mod request;
mod socket;

pub use memory::Memory;
pub use request::{HttpError, Request, Response, Transport};
pub use socket::Sockets;
