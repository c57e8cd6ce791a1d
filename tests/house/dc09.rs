//! DC-09 frames made by hand, and a link that carries them: what a home unit does, and what none
//! would do.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::setup::own_address;

/// CRC-16/ARC over the body.
pub(crate) fn crc16(body: &[u8]) -> u16 {
    body.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 }
        })
    })
}

/// A whole frame around a body.
pub(crate) fn frame(body: &str) -> Vec<u8> {
    format!("\n{:04X}{:04X}{body}\r", crc16(body.as_bytes()), body.len()).into_bytes()
}

/// Pendant `zone` of this account is pressed.
pub(crate) fn press(account: &str, sequence: u16, zone: u16) -> Vec<u8> {
    event(account, sequence, "1101", zone)
}

/// Any Contact ID event of this account.
pub(crate) fn event(account: &str, sequence: u16, code: &str, zone: u16) -> Vec<u8> {
    frame(&format!("\"ADM-CID\"{sequence:04}L0#{account}[#{account}|{code} 01 {zone:03}]"))
}

/// What an acknowledgement of this message has in it.
pub(crate) fn ack(sequence: u16) -> String {
    format!("\"ACK\"{sequence:04}")
}

/// A home unit's line.
pub(crate) enum Link {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Link {
    pub(crate) fn tcp(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    pub(crate) fn udp(address: SocketAddr, patience: Duration) -> io::Result<Self> {
        // A port that a unit gave up may be another's at once, and an answer that comes late must
        // not find it.
        let socket = UdpSocket::bind((own_address(), 0))?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(patience))?;
        Ok(Self::Udp(socket))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Udp(socket) => socket.send(bytes).map(drop),
        }
    }

    /// One answer: up to its closing CR.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        let mut bytes = Vec::new();
        match self {
            Self::Tcp(stream) => {
                let mut byte = [0];
                while bytes.last() != Some(&b'\r') {
                    stream.read_exact(&mut byte)?;
                    bytes.push(byte[0]);
                }
            }
            Self::Udp(socket) => {
                bytes.resize(4_200, 0);
                let count = socket.recv(&mut bytes)?;
                bytes.truncate(count);
            }
        }
        Ok(super::text(&bytes))
    }

    /// Sends and gives the answer.
    pub(crate) fn ask(&mut self, bytes: &[u8]) -> io::Result<String> {
        self.send(bytes)?;
        self.answer()
    }

    /// All that comes until the other side closes or nothing comes for the link's patience.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        match self {
            Self::Tcp(stream) => {
                let mut buffer = [0; 4_096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    all.extend_from_slice(&buffer[..count]);
                }
            }
            Self::Udp(socket) => {
                let mut buffer = [0; 4_200];
                while let Ok(count) = socket.recv(&mut buffer) {
                    all.extend_from_slice(&buffer[..count]);
                }
            }
        }
        all
    }
}
