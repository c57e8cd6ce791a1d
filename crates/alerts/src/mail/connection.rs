//! One connection to a relay, driven command by command.

use std::sync::Arc;
use std::time::Duration;

use hansho_outbox::Delivery;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::reply::Reply;
use super::wire::{Mark, Wire};
use super::{MailConfig, Server};
use crate::Rendered;

/// A connection after its EHLO.
pub(crate) struct Connection {
    smtp: AsyncSmtpConnection,
    mark: Arc<Mark>,
    /// The server takes groups of commands (PIPELINING, RFC 2920).
    groups: bool,
    /// Messages that were begun on it.
    pub(crate) messages: u32,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({} messages)", self.messages)
    }
}

/// What one message on a connection came to.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) delivery: Delivery,
    /// The connection may carry another message.
    pub(crate) reusable: bool,
    /// The connection was gone before the message began: on a fresh one it may go at once.
    pub(crate) stale: bool,
}

/// Why a step did not go on.
#[derive(Clone, Copy)]
enum Stop {
    /// The server said no.
    Refused(Reply),
    /// The connection is lost, mute, or talks nonsense.
    Lost,
}

impl Connection {
    /// Connects, reads the banner, says EHLO and logs in.
    pub(crate) async fn open(config: &MailConfig, server: &Server) -> Result<Self, Delivery> {
        let lost = Delivery::failed(0, true);
        let address = (server.host.as_str(), server.port);
        let stream = timeout(config.timeouts.connect, TcpStream::connect(address));
        let stream = stream.await.map_err(|_late| lost)?.map_err(|_refused| lost)?;
        // Without it each mail waits for the server's delayed ACK: 22 a second instead of 25,000.
        stream.set_nodelay(true).map_err(|_gone| lost)?;
        let mark = Arc::new(Mark::default());
        let wire = Box::new(Wire::new(stream, Arc::clone(&mark)));
        let hello = ClientId::Domain(config.hello.clone());
        let greeting = AsyncSmtpConnection::connect_with_transport(wire, &hello);
        let smtp = within(config.timeouts.greeting, greeting).await.map_err(Stop::of_session)?;
        let mut connection = Self { smtp, mark, groups: false, messages: 0 };
        if config.starttls {
            // The channel refuses such a configuration; the password must never go out open.
            #[cfg(not(feature = "starttls"))]
            return Err(lost);
            #[cfg(feature = "starttls")]
            connection.encrypt(config, server, &hello).await.map_err(Stop::of_session)?;
        }
        connection.groups = connection.offers_groups(config).await.map_err(Stop::of_session)?;
        if let Some(credentials) = &config.credentials {
            let login = connection.smtp.auth(&[Mechanism::Plain, Mechanism::Login], credentials);
            within(config.timeouts.command, login).await.map_err(Stop::of_session)?;
        }
        Ok(connection)
    }

    /// Goes on in secret or not at all.
    #[cfg(feature = "starttls")]
    async fn encrypt(
        &mut self,
        config: &MailConfig,
        server: &Server,
        hello: &ClientId,
    ) -> Result<(), Stop> {
        let parameters = config.tls(&server.host).ok_or(Stop::Lost)?;
        within(config.timeouts.greeting, self.smtp.starttls(parameters, hello)).await
    }

    /// The mark that says whether the dot of the message on it has left.
    pub(crate) fn mark(&self) -> Arc<Mark> {
        Arc::clone(&self.mark)
    }

    /// Sends one message to one recipient.
    pub(crate) async fn send(&mut self, config: &MailConfig, mail: &Rendered) -> Transaction {
        self.mark.commands();
        self.messages = self.messages.saturating_add(1);
        let bytes = mail.bytes.0.strip_suffix(b"\r\n").unwrap_or(&mail.bytes.0);
        // An address with two forms needs an answer before the second one is tried.
        let begun = if self.groups && mail.to_bare.is_none() {
            self.begin_in_a_group(config, mail).await
        } else {
            self.begin_step_by_step(config, mail).await
        };
        match begun {
            Ok(()) => self.text(config, bytes).await,
            Err(transaction) => transaction,
        }
    }

    /// MAIL, RCPT and DATA in one write: two round trips a mail instead of four.
    async fn begin_in_a_group(
        &mut self,
        config: &MailConfig,
        mail: &Rendered,
    ) -> Result<(), Transaction> {
        let limits = &config.timeouts;
        let group = format!("MAIL FROM:<{}>\r\nRCPT TO:<{}>\r\nDATA\r\n", mail.from, mail.to.0);
        let sender = self.command(limits.command, &group).await;
        let sender = live(sender).map_err(Transaction::stale)?;
        // All answers of the group come, whatever the first one says.
        let recipient = self.answer(limits.command).await;
        let recipient = live(recipient).map_err(Transaction::cut)?;
        let data = self.answer(limits.data).await;
        let data = live(data).map_err(Transaction::cut)?;
        let refusal = match (sender, recipient) {
            (Answer::No(reply), _) => Some(reply.at_mail()),
            (_, Answer::No(reply)) => Some(reply.at_rcpt()),
            (Answer::Yes(sender), Answer::Yes(recipient)) => {
                if !sender.is_positive() || !recipient.is_positive() {
                    return Err(Transaction::cut(0));
                }
                None
            }
        };
        match (refusal, data) {
            (None, Answer::Yes(reply)) if reply.code == 354 => Ok(()),
            (Some(delivery), Answer::Yes(reply)) if reply.code == 354 => {
                // It waits for a text that nobody is to get: a lone dot ends it, whatever it says.
                let ended = self.command(limits.command, ".\r\n").await;
                Err(Transaction { delivery, reusable: live(ended).is_ok(), stale: false })
            }
            (_, Answer::Yes(_out_of_step)) => Err(Transaction::cut(0)),
            (refusal, Answer::No(reply)) => {
                Err(self.refused(config, refusal.unwrap_or_else(|| reply.at_data())).await)
            }
        }
    }

    async fn begin_step_by_step(
        &mut self,
        config: &MailConfig,
        mail: &Rendered,
    ) -> Result<(), Transaction> {
        let limits = &config.timeouts;
        let sender = format!("MAIL FROM:<{}>\r\n", mail.from);
        let answer = self.command(limits.command, &sender).await;
        match live(answer).map_err(Transaction::stale)? {
            Answer::Yes(reply) if reply.is_positive() => {}
            Answer::Yes(_out_of_step) => return Err(Transaction::cut(0)),
            Answer::No(reply) => return Err(self.refused(config, reply.at_mail()).await),
        }
        let mut answer = live(self.recipient(config, &mail.to.0).await);
        if let (Ok(Answer::No(reply)), Some(bare)) = (&answer, &mail.to_bare)
            && matches!(reply.code, 500..=599)
        {
            answer = live(self.recipient(config, &bare.0).await);
        }
        match answer.map_err(Transaction::cut)? {
            Answer::Yes(reply) if reply.is_positive() => {}
            Answer::Yes(_out_of_step) => return Err(Transaction::cut(0)),
            Answer::No(reply) => return Err(self.refused(config, reply.at_rcpt()).await),
        }
        let answer = self.command(limits.data, "DATA\r\n").await;
        match live(answer).map_err(Transaction::cut)? {
            Answer::Yes(reply) if reply.code == 354 => Ok(()),
            Answer::Yes(_out_of_step) => Err(Transaction::cut(0)),
            Answer::No(reply) => Err(self.refused(config, reply.at_data()).await),
        }
    }

    /// The text and the dot: one write, then the answer that settles it.
    async fn text(&mut self, config: &MailConfig, bytes: &[u8]) -> Transaction {
        let mark = Arc::clone(&self.mark);
        let parts: Box<dyn Iterator<Item = &[u8]> + Send> = if self.smtp.is_encrypted() {
            // lettre asks for the next part when the last one is written: after the text comes
            // the dot, and from then on it may have left.
            Box::new(Parts { text: Some(bytes), mark })
        } else {
            mark.text();
            Box::new(std::iter::once(bytes))
        };
        let answered = within(config.timeouts.dot, self.smtp.message_iter(parts)).await;
        let sent = self.mark.is_sent();
        self.mark.commands();
        match answered.map(|response| Reply::from_response(&response)) {
            Ok(reply) | Err(Stop::Refused(reply)) if sent => Transaction {
                delivery: reply.at_dot(),
                reusable: !reply.is_closing() && !matches!(reply.code, 300..=399),
                stale: false,
            },
            // Before the dot nothing can have been taken.
            Ok(_) | Err(Stop::Refused(_)) => Transaction::cut(0),
            Err(Stop::Lost) if sent => {
                Transaction { delivery: Delivery::uncertain(), reusable: false, stale: false }
            }
            Err(Stop::Lost) => Transaction::cut(0),
        }
    }

    /// Says good-bye; whether anybody hears it does not matter.
    pub(crate) async fn close(mut self, patience: Duration) {
        let quit = self.smtp.quit();
        drop(timeout(patience, quit).await);
    }

    async fn recipient(&mut self, config: &MailConfig, address: &str) -> Result<Reply, Stop> {
        self.command(config.timeouts.command, &format!("RCPT TO:<{address}>\r\n")).await
    }

    async fn command(&mut self, limit: Duration, line: &str) -> Result<Reply, Stop> {
        let response = within(limit, self.smtp.command(line)).await?;
        Ok(Reply::from_response(&response))
    }

    /// The next answer of a group.
    async fn answer(&mut self, limit: Duration) -> Result<Reply, Stop> {
        let response = within(limit, self.smtp.read_response()).await?;
        Ok(Reply::from_response(&response))
    }

    /// Asks once more what the server offers: lettre does not tell of PIPELINING.
    async fn offers_groups(&mut self, config: &MailConfig) -> Result<bool, Stop> {
        let hello = format!("EHLO {}\r\n", config.hello);
        match within(config.timeouts.greeting, self.smtp.command(hello)).await {
            Ok(response) => {
                Ok(response.message().any(|line| line.trim().eq_ignore_ascii_case("PIPELINING")))
            }
            // A second EHLO is legal; who minds it gets one command at a time.
            Err(Stop::Refused(reply)) if !reply.is_closing() => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    /// Clears the transaction so that the connection can carry the next one.
    async fn refused(&mut self, config: &MailConfig, delivery: Delivery) -> Transaction {
        let reset = self.command(config.timeouts.command, "RSET\r\n").await;
        let reusable = matches!(reset, Ok(reply) if reply.is_positive());
        Transaction { delivery, reusable, stale: false }
    }
}

/// A text as one part; marks the moment when no part is left.
struct Parts<'a> {
    text: Option<&'a [u8]>,
    mark: Arc<Mark>,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.text.take();
        if text.is_none() {
            self.mark.sent();
        }
        text
    }
}

impl Transaction {
    /// The connection was lost before the dot: certainly not sent. `code` is the server's last.
    const fn cut(code: u16) -> Self {
        Self { delivery: Delivery::failed(code, true), reusable: false, stale: false }
    }

    /// As `cut`, and the message had not begun.
    const fn stale(code: u16) -> Self {
        Self { delivery: Delivery::failed(code, true), reusable: false, stale: true }
    }
}

impl Stop {
    /// A stop before the first message: it speaks of the relay.
    const fn of_session(self) -> Delivery {
        match self {
            Self::Refused(reply) => reply.blames_session(),
            Self::Lost => Delivery::failed(0, true),
        }
    }
}

/// An answer that leaves the connection alive.
enum Answer {
    /// 2yz or 3yz.
    Yes(Reply),
    /// 4yz or 5yz.
    No(Reply),
}

/// An answer, or the code with which the connection ended (0 without one).
const fn live(answer: Result<Reply, Stop>) -> Result<Answer, u16> {
    match answer {
        Ok(reply) => Ok(Answer::Yes(reply)),
        Err(Stop::Refused(reply)) if reply.is_closing() => Err(reply.code),
        Err(Stop::Refused(reply)) => Ok(Answer::No(reply)),
        Err(Stop::Lost) => Err(0),
    }
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, Error>>,
) -> Result<T, Stop> {
    match timeout(limit, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Reply::from_error(&error).map_or(Stop::Lost, Stop::Refused)),
        Err(_late) => Err(Stop::Lost),
    }
}
