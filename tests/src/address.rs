//! Loopback addresses and ports that no other test uses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};

static NEXT: AtomicU8 = AtomicU8::new(1);

/// An address of 127.0.0.0/8 that this call alone gets: its middle comes from the process id, its end from a counter.
/// Test processes that run at once have different ids, and so different addresses.
pub fn loopback_host() -> Ipv4Addr {
    let process = std::process::id();
    let middle = u8::try_from(64 + (process >> 8) % 128).expect("below 192");
    let lower = u8::try_from(process & 0xff).expect("one byte");
    Ipv4Addr::new(127, middle, lower, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A port of 127.0.0.1 that is free now. The time until its server takes it is short, and nothing else here asks for it.
///
/// # Panics
/// If there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}
