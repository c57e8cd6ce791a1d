//! The house's endpoint on sockets of its own: whatever it says is durable a moment later, and a
//! call that rings is answered at once by the one seat there is.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hansho_model::{CallFact, CallOffer, CallReport, LocationFault, LocationShape};
use hansho_protocols::sip::{Endpoint, Flow, Hop, Output, Seat, Setup, SipTransport, Timers};
use hansho_simulators::pendant::Link;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Who answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seats {
    None,
    One(SocketAddr, Link),
}

/// It runs until dropped.
pub(crate) struct Exchange {
    address: SocketAddr,
    said: Arc<Mutex<Vec<CallReport>>>,
    _tasks: JoinSet<()>,
}

impl Exchange {
    pub(crate) async fn start(seats: Seats) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let datagrams = Arc::new(UdpSocket::bind(address).await.unwrap());
        let said = Arc::new(Mutex::new(Vec::new()));
        let seat = match seats {
            Seats::None => Vec::new(),
            Seats::One(address, link) => {
                let transport = transport(link);
                let uri = format!("sip:desk1@{address}");
                vec![Seat { name: "desk1".to_owned(), uri, transport, address }]
            }
        };
        let endpoint = Endpoint::new(Setup {
            udp: address,
            tcp: address,
            numbers: vec!["119".to_owned()],
            trunks: vec![Ipv4Addr::LOCALHOST.into()],
            seats: seat,
            timers: Timers::default(),
            seed: [7; 16],
        });
        let (come, comes) = mpsc::channel(1_000);
        let work = Work {
            address,
            endpoint,
            datagrams: Arc::clone(&datagrams),
            flows: BTreeMap::new(),
            flow_count: 0,
            come: come.clone(),
            said: Arc::clone(&said),
            wake: None,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(work.run(comes));
        tasks.spawn(listen(listener, come.clone()));
        tasks.spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok((count, peer)) = datagrams.recv_from(&mut buffer).await {
                let flow = Flow { transport: SipTransport::Udp, local: address, peer, id: 0 };
                come.send(Come::Bytes(flow, buffer[..count].to_vec())).await.ok();
            }
        });
        Self { address, said, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn facts(&self) -> Vec<&'static str> {
        let word = |report: &CallReport| match &report.fact {
            CallFact::Offered(_) => "offered",
            CallFact::Abandoned => "abandoned",
            CallFact::Connected { .. } => "connected",
            CallFact::NotConnected { .. } => "not connected",
            CallFact::Ended { .. } => "ended",
        };
        self.said.lock().unwrap().iter().map(word).collect()
    }

    /// What was read of the place of each call.
    pub(crate) fn places(&self) -> Vec<&'static str> {
        let word = |report: &CallReport| match &report.fact {
            CallFact::Offered(offer) => Some(place(offer)),
            CallFact::Abandoned
            | CallFact::Connected { .. }
            | CallFact::NotConnected { .. }
            | CallFact::Ended { .. } => None,
        };
        self.said.lock().unwrap().iter().filter_map(word).collect()
    }
}

fn place<T, B>(offer: &CallOffer<T, B>) -> &'static str {
    let Some(location) = offer.locations.first() else { return "none" };
    let refused = location.refused.map(LocationFault::as_str);
    let shape = location.shape.map(LocationShape::as_str);
    refused.or(shape).unwrap_or("in words")
}

enum Come {
    Bytes(Flow, Vec<u8>),
    /// A connection, accepted or opened.
    Opened(SocketAddr, TcpStream),
    Closed(Flow),
    Durable(hansho_protocols::Receipt, Box<CallReport>),
}

async fn listen(listener: TcpListener, come: mpsc::Sender<Come>) {
    while let Ok((stream, peer)) = listener.accept().await {
        come.send(Come::Opened(peer, stream)).await.ok();
    }
}

struct Work {
    address: SocketAddr,
    endpoint: Endpoint,
    datagrams: Arc<UdpSocket>,
    flows: BTreeMap<Flow, mpsc::Sender<Vec<u8>>>,
    flow_count: u64,
    come: mpsc::Sender<Come>,
    said: Arc<Mutex<Vec<CallReport>>>,
    wake: Option<Timestamp>,
}

impl Work {
    async fn run(mut self, mut comes: mpsc::Receiver<Come>) {
        loop {
            let wait = self.wake.map_or(Duration::from_secs(1), |wake| {
                Duration::try_from(wake.duration_since(now())).unwrap_or_default()
            });
            match tokio::time::timeout(wait, comes.recv()).await {
                Ok(Some(come)) => self.take(come),
                Ok(None) => return,
                Err(_elapsed) => self.endpoint.handle_timeout(now()),
            }
            self.drain().await;
        }
    }

    fn take(&mut self, come: Come) {
        match come {
            // What is no SIP is refused; that is the endpoint's own business.
            Come::Bytes(flow, bytes) => match flow.transport {
                SipTransport::Udp => drop(self.endpoint.handle_datagram(now(), flow, &bytes)),
                SipTransport::Tcp => drop(self.endpoint.handle_stream(now(), flow, &bytes)),
            },
            Come::Opened(peer, stream) => drop(self.open(peer, stream)),
            Come::Closed(flow) => {
                self.flows.remove(&flow);
                self.endpoint.handle_flow_closed(now(), flow);
            }
            Come::Durable(receipt, report) => {
                let rings = matches!(report.fact, CallFact::Offered(_));
                let call = report.call.clone();
                self.said.lock().unwrap().push(*report);
                self.endpoint.handle_durable(now(), receipt);
                if rings {
                    self.endpoint.connect(now(), &call, "desk1");
                }
            }
        }
    }

    fn open(&mut self, peer: SocketAddr, stream: TcpStream) -> mpsc::Sender<Vec<u8>> {
        self.flow_count += 1;
        let (transport, id) = (SipTransport::Tcp, self.flow_count);
        let flow = Flow { transport, local: self.address, peer, id };
        let (say, mut said) = mpsc::channel::<Vec<u8>>(100);
        self.flows.insert(flow, say.clone());
        let come = self.come.clone();
        let (mut reader, mut writer) = stream.into_split();
        tokio::spawn(async move {
            while let Some(bytes) = said.recv().await {
                writer.write_all(&bytes).await.ok();
            }
        });
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                come.send(Come::Bytes(flow, buffer[..count].to_vec())).await.ok();
            }
            come.send(Come::Closed(flow)).await.ok();
        });
        say
    }

    async fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Idle(wake) => {
                    self.wake = wake;
                    return;
                }
                Output::Close(flow) => drop(self.flows.remove(&flow)),
                Output::Transmit(hop, bytes) => self.send(hop, bytes).await,
                Output::Fact(receipt, report) => {
                    // As long as a disk takes.
                    let come = self.come.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        come.send(Come::Durable(receipt, report)).await.ok();
                    });
                }
            }
        }
    }

    async fn send(&mut self, hop: Hop, bytes: Vec<u8>) {
        let (transport, peer) = match hop {
            Hop::Flow(flow) => (flow.transport, flow.peer),
            Hop::Address(transport, address) => (transport, address),
        };
        if transport == SipTransport::Udp {
            self.datagrams.send_to(&bytes, peer).await.ok();
            return;
        }
        let known = self.flows.iter().find(|(flow, _)| flow.peer == peer);
        let say = match known {
            Some((_, say)) => say.clone(),
            None => match TcpStream::connect(peer).await {
                Ok(stream) => self.open(peer, stream),
                Err(_refused) => return self.endpoint.handle_unreachable(now(), transport, peer),
            },
        };
        say.send(bytes).await.ok();
    }
}

fn transport(link: Link) -> SipTransport {
    match link {
        Link::Udp => SipTransport::Udp,
        Link::Tcp => SipTransport::Tcp,
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of a shell")]
fn now() -> Timestamp {
    Timestamp::now()
}
