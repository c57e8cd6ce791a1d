//! The codec, and what we say in it: one vocabulary for 3.1.1 and 5.

use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{ConnectionOptions, Event};
use mqtt_protocol_core::mqtt::packet::{
    AssignedClientIdentifier, GenericPacketTrait as _, MaximumQos, Packet, Property, Qos,
    ReceiveMaximum, RetainAvailable, ServerKeepAlive, SessionExpiryInterval,
    SharedSubscriptionAvailable, SubscriptionIdentifierAvailable, WildcardSubscriptionAvailable,
    v3_1_1, v5_0,
};
use mqtt_protocol_core::mqtt::result_code::{
    ConnectReasonCode, ConnectReturnCode, DisconnectReasonCode, MqttError, PubackReasonCode,
    SubackReasonCode, SubackReturnCode, UnsubackReasonCode,
};
use mqtt_protocol_core::mqtt::{Connection, Version, role};

/// Longest packet, in bytes.
pub const PACKET_SIZE_MAX: u32 = 65_536;
/// Publishes of one connection that may wait for their PUBACK.
pub const UNANSWERED_MAX: u16 = 64;
/// CONNACK for who speaks neither 3.1.1 nor 5: 3.1.1's "unacceptable protocol version".
const WRONG_VERSION: [u8; 4] = [0x20, 0x02, 0x00, 0x01];

/// Why a client is turned away or a message is not taken: the reason codes of MQTT 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Protocol,
    ClientId,
    Password,
    NotAuthorized,
    AuthMethod,
    KeepAlive,
    TakenOver,
    Quota,
    Payload,
    Qos,
}

impl Reason {
    /// Its code on the wire; where a packet has no such code, the caller says what stands for it.
    const fn code(self) -> u8 {
        match self {
            Self::Protocol => 0x82,
            Self::ClientId => 0x85,
            Self::Password => 0x86,
            Self::NotAuthorized => 0x87,
            Self::AuthMethod => 0x8c,
            Self::KeepAlive => 0x8d,
            Self::TakenOver => 0x8e,
            Self::Quota => 0x97,
            Self::Payload => 0x99,
            Self::Qos => 0x9b,
        }
    }
}

/// What a client asks for in its CONNECT.
pub(super) struct Connect {
    pub(super) client_id: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<Vec<u8>>,
    pub(super) keep_alive_s: u16,
    /// Whether it asks for an earlier session, or to keep this one.
    pub(super) keeps: bool,
    /// Topic and QoS of its will.
    pub(super) will: Option<(String, u8)>,
    pub(super) auth_method: bool,
}

/// A packet that came, or what the codec made of bytes that are none.
pub(super) enum Came {
    Connect(Box<Connect>),
    Publish {
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        id: Option<u16>,
    },
    Subscribe {
        id: u16,
        filters: Vec<String>,
    },
    Unsubscribe {
        id: u16,
        count: usize,
    },
    Ping,
    Disconnect,
    /// What no client of ours has a reason to send.
    Other,
}

/// What a call of the codec brought.
#[derive(Default)]
pub(super) struct Step {
    pub(super) came: Option<Came>,
    pub(super) transmit: Vec<Vec<u8>>,
    pub(super) close: bool,
    pub(super) error: Option<MqttError>,
    /// Whether anything was complete.
    pub(super) whole: bool,
}

/// One connection's codec.
pub(super) struct Wire(Connection<role::Server>);

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wire({:?})", self.0.get_protocol_version())
    }
}

impl Wire {
    pub(super) fn new() -> Self {
        // Receive Maximum is given in our own CONNACK: as an option it would close a 3.1.1
        // connection at the 65th publish, of which a 3.1.1 client cannot know.
        let options = ConnectionOptions::new().maximum_packet_size_recv(PACKET_SIZE_MAX);
        Self(Connection::with_options(Version::Undetermined, options))
    }

    pub(super) fn is_v5(&self) -> bool {
        self.0.get_protocol_version() == Version::V5_0
    }

    /// Takes one packet off `bytes`, or all of them; gives how many it took.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> (Step, usize) {
        let mut cursor = Cursor::new(bytes);
        let events = self.0.recv(&mut cursor);
        let used = usize::try_from(cursor.position()).unwrap_or(bytes.len());
        let mut step = step(events);
        if step.error == Some(MqttError::UnsupportedProtocolVersion) && step.transmit.is_empty() {
            step.transmit.push(WRONG_VERSION.to_vec());
        }
        (step, used)
    }

    /// Lets the client in. `keep_alive_s` where ours goes before its own; `assigned` where it
    /// brought no name.
    pub(super) fn welcome(&mut self, keep_alive_s: Option<u16>, assigned: Option<&str>) -> Step {
        if !self.is_v5() {
            let connack = v3_1_1::Connack::builder()
                .session_present(false)
                .return_code(ConnectReturnCode::Accepted)
                .build();
            return self.send(connack);
        }
        let mut properties = Vec::new();
        properties.extend(ReceiveMaximum::new(UNANSWERED_MAX).map(Property::from));
        properties.extend(MaximumQos::new(1).map(Property::from));
        properties.extend(RetainAvailable::new(0).map(Property::from));
        properties.extend(SessionExpiryInterval::new(0).map(Property::from));
        properties.extend(WildcardSubscriptionAvailable::new(0).map(Property::from));
        properties.extend(SubscriptionIdentifierAvailable::new(0).map(Property::from));
        properties.extend(SharedSubscriptionAvailable::new(0).map(Property::from));
        let keep_alive = keep_alive_s.and_then(|time| ServerKeepAlive::new(time).ok());
        properties.extend(keep_alive.map(Property::from));
        let assigned = assigned.and_then(|name| AssignedClientIdentifier::new(name).ok());
        properties.extend(assigned.map(Property::from));
        let connack = v5_0::Connack::builder()
            .session_present(false)
            .reason_code(ConnectReasonCode::Success)
            .props(properties)
            .build();
        self.send(connack)
    }

    /// Turns the client away.
    pub(super) fn turn_away(&mut self, reason: Reason) -> Step {
        if self.is_v5() {
            let code = ConnectReasonCode::try_from(reason.code());
            let code = code.unwrap_or(ConnectReasonCode::NotAuthorized);
            let connack = v5_0::Connack::builder().session_present(false).reason_code(code).build();
            return self.send(connack);
        }
        let code = if reason == Reason::ClientId {
            ConnectReturnCode::IdentifierRejected
        } else if reason == Reason::Password {
            ConnectReturnCode::BadUserNameOrPassword
        } else if reason == Reason::Quota {
            ConnectReturnCode::ServerUnavailable
        } else {
            ConnectReturnCode::NotAuthorized
        };
        self.send(v3_1_1::Connack::builder().session_present(false).return_code(code).build())
    }

    /// Acknowledges a publish; a refusal is said in MQTT 5 alone.
    pub(super) fn acknowledge(&mut self, id: u16, refusal: Option<Reason>) -> Step {
        if !self.is_v5() {
            return self.send(v3_1_1::Puback::builder().packet_id(id).build());
        }
        let puback = v5_0::Puback::builder().packet_id(id);
        let code = refusal.map(|reason| {
            PubackReasonCode::try_from(reason.code()).unwrap_or(PubackReasonCode::NotAuthorized)
        });
        self.send(match code {
            None => puback.build(),
            Some(code) => puback.reason_code(code).build(),
        })
    }

    /// Says why the connection ends; 3.1.1 has no word for it.
    pub(super) fn part(&mut self, reason: Reason) -> Step {
        if !self.is_v5() {
            return Step { close: true, ..Step::default() };
        }
        let code = DisconnectReasonCode::try_from(reason.code());
        let code = code.unwrap_or(DisconnectReasonCode::NotAuthorized);
        self.send(v5_0::Disconnect::builder().reason_code(code).build())
    }

    pub(super) fn pong(&mut self) -> Step {
        if self.is_v5() {
            self.send(Ok(v5_0::Pingresp::new()))
        } else {
            self.send(Ok(v3_1_1::Pingresp::new()))
        }
    }

    /// Answers a SUBSCRIBE: which filters are granted, all with QoS 0.
    pub(super) fn subscribed(&mut self, id: u16, granted: &[bool]) -> Step {
        if self.is_v5() {
            let code = |granted: &bool| {
                if *granted {
                    SubackReasonCode::GrantedQos0
                } else {
                    SubackReasonCode::NotAuthorized
                }
            };
            let codes = granted.iter().map(code).collect();
            return self.send(v5_0::Suback::builder().packet_id(id).reason_codes(codes).build());
        }
        let code = |granted: &bool| {
            if *granted { SubackReturnCode::SuccessMaximumQos0 } else { SubackReturnCode::Failure }
        };
        let codes = granted.iter().map(code).collect();
        self.send(v3_1_1::Suback::builder().packet_id(id).return_codes(codes).build())
    }

    pub(super) fn unsubscribed(&mut self, id: u16, count: usize) -> Step {
        if self.is_v5() {
            let codes = vec![UnsubackReasonCode::Success; count];
            return self.send(v5_0::Unsuback::builder().packet_id(id).reason_codes(codes).build());
        }
        self.send(v3_1_1::Unsuback::builder().packet_id(id).build())
    }

    /// Sends a message down to the device, with QoS 0.
    pub(super) fn tell(&mut self, topic: &str, payload: &[u8]) -> Step {
        if self.is_v5() {
            let publish = v5_0::Publish::builder()
                .topic_name(topic)
                .and_then(|publish| publish.qos(Qos::AtMostOnce).payload(payload.to_vec()).build());
            return self.send(publish);
        }
        let publish = v3_1_1::Publish::builder()
            .topic_name(topic)
            .and_then(|publish| publish.qos(Qos::AtMostOnce).payload(payload.to_vec()).build());
        self.send(publish)
    }

    /// What cannot be built or may not be sent now is not sent; the connection then ends, as
    /// nobody knows any more where it stands.
    fn send<P: Into<Packet>>(&mut self, packet: Result<P, MqttError>) -> Step {
        match packet {
            Ok(packet) => step(self.0.send(packet.into())),
            Err(error) => Step { close: true, error: Some(error), ..Step::default() },
        }
    }
}

fn step(events: Vec<Event>) -> Step {
    let mut step = Step { whole: !events.is_empty(), ..Step::default() };
    for event in events {
        match event {
            Event::NotifyPacketReceived(packet) => step.came = Some(came(packet)),
            Event::RequestSendPacket { packet, .. } => {
                step.transmit.push(packet.to_continuous_buffer());
            }
            Event::NotifyError(error) => {
                step.close = true;
                step.error = Some(error);
            }
            Event::RequestClose => step.close = true,
            // The session keeps the time itself.
            Event::NotifyPacketIdReleased(_)
            | Event::RequestTimerReset { .. }
            | Event::RequestTimerCancel(_) => {}
        }
    }
    step
}

#[expect(clippy::wildcard_enum_match_arm, reason = "seventeen packets that only a server sends")]
fn came(packet: Packet) -> Came {
    match packet {
        Packet::V3_1_1Connect(connect) => Came::Connect(Box::new(Connect {
            client_id: connect.client_id().to_owned(),
            user: connect.user_name().map(str::to_owned),
            password: connect.password().map(<[u8]>::to_vec),
            keep_alive_s: connect.keep_alive(),
            keeps: !connect.clean_session(),
            will: connect.will_topic().map(|topic| (topic.to_owned(), qos(connect.will_qos()))),
            auth_method: false,
        })),
        Packet::V5_0Connect(connect) => Came::Connect(Box::new(Connect {
            client_id: connect.client_id().to_owned(),
            user: connect.user_name().map(str::to_owned),
            password: connect.password().map(<[u8]>::to_vec),
            keep_alive_s: connect.keep_alive(),
            keeps: false,
            will: connect.will_topic().map(|topic| (topic.to_owned(), qos(connect.will_qos()))),
            auth_method: connect
                .props()
                .iter()
                .any(|property| matches!(property, Property::AuthenticationMethod(_))),
        })),
        // The payload is copied: a slice would keep the whole packet alive.
        Packet::V3_1_1Publish(publish) => Came::Publish {
            topic: publish.topic_name().to_owned(),
            payload: publish.payload().as_slice().to_vec(),
            qos: qos(publish.qos()),
            id: publish.packet_id(),
        },
        Packet::V5_0Publish(publish) => Came::Publish {
            topic: publish.topic_name().to_owned(),
            payload: publish.payload().as_slice().to_vec(),
            qos: qos(publish.qos()),
            id: publish.packet_id(),
        },
        Packet::V3_1_1Subscribe(subscribe) => Came::Subscribe {
            id: subscribe.packet_id(),
            filters: subscribe
                .entries()
                .iter()
                .map(|each| each.topic_filter().to_owned())
                .collect(),
        },
        Packet::V5_0Subscribe(subscribe) => Came::Subscribe {
            id: subscribe.packet_id(),
            filters: subscribe
                .entries()
                .iter()
                .map(|each| each.topic_filter().to_owned())
                .collect(),
        },
        Packet::V3_1_1Unsubscribe(unsubscribe) => {
            Came::Unsubscribe { id: unsubscribe.packet_id(), count: unsubscribe.entries().len() }
        }
        Packet::V5_0Unsubscribe(unsubscribe) => {
            Came::Unsubscribe { id: unsubscribe.packet_id(), count: unsubscribe.entries().len() }
        }
        Packet::V3_1_1Pingreq(_) | Packet::V5_0Pingreq(_) => Came::Ping,
        Packet::V3_1_1Disconnect(_) | Packet::V5_0Disconnect(_) => Came::Disconnect,
        _ => Came::Other,
    }
}

const fn qos(qos: Qos) -> u8 {
    match qos {
        Qos::AtMostOnce => 0,
        Qos::AtLeastOnce => 1,
        Qos::ExactlyOnce => 2,
    }
}
