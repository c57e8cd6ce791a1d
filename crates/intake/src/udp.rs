//! UDP: a session for each datagram; the answer goes to the datagram's own source.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::{Semaphore, watch};

use crate::Entrance;
use crate::conversation::Conversation;

/// Datagrams that may wait for their receipts; then the socket is not read and the kernel's buffer
/// holds or drops what comes, as with any full line: the sender repeats.
pub const UDP_IN_FLIGHT_MAX: usize = 1_024;

/// Longest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// Takes datagrams until `stop` turns true.
pub async fn serve_udp(
    socket: Arc<UdpSocket>,
    entrance: Entrance,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(UDP_IN_FLIGHT_MAX));
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (count, peer) = match received {
            Ok(received) => received,
            Err(error) => {
                // A peer that closed its port shows up here as an error of the next read.
                tracing::debug!(%error, door = %entrance.door, "A datagram was not received.");
                continue;
            }
        };
        let bytes = buffer.get(..count).unwrap_or_default().to_vec();
        let (socket, entrance) = (Arc::clone(&socket), entrance.clone());
        tokio::spawn(async move {
            answer(&socket, peer, entrance, &bytes).await;
            drop(place);
        });
    }
}

async fn answer(socket: &UdpSocket, peer: SocketAddr, entrance: Entrance, bytes: &[u8]) {
    let mut conversation = Conversation::new(entrance, peer);
    let mut step = conversation.bytes(bytes);
    loop {
        for bytes in step.transmit {
            if let Err(error) = socket.send_to(&bytes, peer).await {
                tracing::debug!(%error, "An answer could not be sent.");
            }
        }
        if !conversation.is_waiting() {
            return;
        }
        step = conversation.receipt().await;
    }
}
