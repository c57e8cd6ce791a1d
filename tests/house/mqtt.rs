//! An MQTT client written byte by byte: it can say what no library would.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The password of a device of tests.
pub(crate) fn password_of(device: &str) -> String {
    format!("secret-of-{device}")
}

/// A connection, logged in.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
    /// 4 or 5.
    level: u8,
}

impl Client {
    /// Logs in as a device with a client id of its own.
    pub(crate) fn open(
        door: SocketAddr,
        level: u8,
        device: &str,
        patience: Duration,
    ) -> io::Result<Self> {
        let mut client = Self::dial(door, level, patience)?;
        client.send(&connect(level, device, Some((device, &password_of(device)))))?;
        let answer = client.packet()?;
        let accepted = answer.first() == Some(&0x20) && answer.get(3) == Some(&0);
        accepted.then_some(client).ok_or_else(|| io::Error::other(format!("{answer:02x?}")))
    }

    /// Connects and says nothing.
    pub(crate) fn dial(door: SocketAddr, level: u8, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&door, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self { stream, heard: Vec::new(), level })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Publishes with QoS 1.
    pub(crate) fn publish(&mut self, id: u16, topic: &str, payload: &str) -> io::Result<()> {
        let bytes = publish(self.level, 1, id, topic, payload);
        self.send(&bytes)
    }

    /// The next whole packet.
    pub(crate) fn packet(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(size) = size(&self.heard) {
                return Ok(self.heard.drain(..size).collect());
            }
            let mut buffer = [0; 4_096];
            let count = self.stream.read(&mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.heard.extend(&buffer[..count]);
        }
    }

    /// All that still comes, until the door closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut heard = std::mem::take(&mut self.heard);
        // A reset is an end, too.
        self.stream.read_to_end(&mut heard).ok();
        heard
    }

    /// Packet id and reason of a PUBACK; another packet is an error, such as a farewell.
    pub(crate) fn puback(&mut self) -> io::Result<(u16, u8)> {
        let packet = self.packet()?;
        if packet[0] != 0x40 {
            return Err(io::Error::other(format!("{packet:02x?}")));
        }
        let id = u16::from_be_bytes([packet[2], packet[3]]);
        Ok((id, packet.get(4).copied().unwrap_or(0)))
    }
}

/// Bytes of the first packet, when it is whole.
fn size(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (place, byte) in bytes.iter().enumerate().skip(1).take(4) {
        length |= usize::from(byte & 0x7f) << (7 * (place - 1));
        if byte & 0x80 == 0 {
            return (bytes.len() > place + length).then_some(place + 1 + length);
        }
    }
    None
}

pub(crate) fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head];
    let mut left = body.len();
    loop {
        let digit = u8::try_from(left % 128).unwrap();
        left /= 128;
        bytes.push(if left > 0 { digit | 0x80 } else { digit });
        if left == 0 {
            bytes.extend(body);
            return bytes;
        }
    }
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

/// Properties of MQTT 5, or nothing in 3.1.1.
fn none(level: u8) -> Vec<u8> {
    if level == 5 { vec![0] } else { Vec::new() }
}

pub(crate) fn connect(level: u8, client: &str, user: Option<(&str, &str)>) -> Vec<u8> {
    let flags = if user.is_some() { 0xc2 } else { 0x02 };
    let mut body =
        [string("MQTT"), vec![level, flags, 0, 60], none(level), string(client)].concat();
    if let Some((user, password)) = user {
        body.extend([string(user), string(password)].concat());
    }
    packet(0x10, &body)
}

pub(crate) fn publish(level: u8, qos: u8, id: u16, topic: &str, payload: &str) -> Vec<u8> {
    let mut body = string(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(none(level));
    body.extend(payload.as_bytes());
    packet(0x30 | qos << 1, &body)
}

pub(crate) fn subscribe(level: u8, id: u16, filter: &str) -> Vec<u8> {
    packet(0x82, &[id.to_be_bytes().to_vec(), none(level), string(filter), vec![1]].concat())
}
